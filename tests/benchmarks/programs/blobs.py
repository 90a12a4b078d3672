"""A folder of files to a container of Azure, one way: by the library, or by the SDK on threads."""

import json
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from time import perf_counter

from azure.storage.blob import ContainerClient

name, url, key, way = sys.argv[1:5]
source, target = Path(sys.argv[5]), Path("target")
CONTAINER, PREFIX, THREADS = "blobs", "here", 8
target.mkdir()


class ByLibrary:
    """What a person writes with an integration package."""

    def __init__(self) -> None:
        package, _, way_of = name.partition("-")
        library = import_module(f"{package}_azure")
        login = library.AzureBlobStorageCredentials(account_url=url, account_key=key)
        self.container = library.AzureBlobStorageContainer(
            container_name=CONTAINER, credentials=login, use_obstore=way_of != "sdk"
        )
        self.container.write_path("warm", b"x")

    def move(self) -> None:
        if way == "up":
            self.container.upload_from_folder(source, PREFIX)
        else:
            self.container.download_folder_to_path(PREFIX, target)


class BySdk:
    """What a person writes with Azure's SDK, which has nothing for folders."""

    def __init__(self) -> None:
        self.client = ContainerClient(url, CONTAINER, credential=key)
        self.client.upload_blob("warm", b"x", overwrite=True)

    def move(self) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            if way == "up":
                list(pool.map(self._upload, source.iterdir()))
            else:
                found = [blob.name for blob in self.client.list_blobs(f"{PREFIX}/")]
                list(pool.map(self._download, found))

    def _upload(self, path: Path) -> None:
        with path.open("rb") as file:
            self.client.upload_blob(f"{PREFIX}/{path.name}", file, overwrite=True)

    def _download(self, blob: str) -> None:
        with (target / Path(blob).name).open("wb") as file:
            self.client.download_blob(blob).readinto(file)


mover = (BySdk if name == "azure" else ByLibrary)()
began, used = perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
mover.move()
ms, after = 1000 * (perf_counter() - began), resource.getrusage(resource.RUSAGE_SELF)
cpu = 1000 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
if way == "down":
    sizes = {path.name: path.stat().st_size for path in target.rglob("*") if path.is_file()}
    assert sizes == {path.name: path.stat().st_size for path in source.iterdir()}
print(json.dumps({"ms": ms, "cpu": cpu}))
