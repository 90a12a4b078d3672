"""Open the content of an object, as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from requests import Response

    from flowstone_gcp.cloud_storage_settings import GcsSettings
    from flowstone_gcp.logins import GcpLogin


def open_content(
    login: GcpLogin,
    settings: GcsSettings,
    place: tuple[str, str],
    wanted: str | None,
    generation: str | None = None,
) -> Response:
    """Return the response to a request for an object's content, which is read as a stream.

    Args:
        login: the credentials.
        settings: the further parameters of the request.
        place: the bucket and the object.
        wanted: the value of the Range header; None for the whole object.
        generation: an old version; None for the current one.
    """
    from google.api_core.exceptions import from_http_response  # loaded with the first client

    bucket, key = (quote(name.encode(), safe="") for name in place)
    where = f"{login.endpoint}/download/storage/v1/b/{bucket}/o/{key}"
    given = {"generation": generation, "userProject": settings.find_payer(login)}
    params = {"alt": "media"} | {name: value for name, value in given.items() if value}
    # Accept gzip to get the stored bytes; otherwise the service unpacks them, without ranges.
    headers = {"Accept-Encoding": "gzip"} | ({"Range": wanted} if wanted else {})
    headers |= settings.make_headers()
    response = login.session().get(
        where, params=params, headers=headers, stream=True, timeout=login.timeout
    )
    if response.status_code in {200, 206} or (wanted and response.status_code == 416):
        return response
    with response:
        raise from_http_response(response)
