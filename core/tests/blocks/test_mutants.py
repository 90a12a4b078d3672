"""Each suite bites: a provider with one fault fails the test that is named for it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent, indent

import pytest

from flowstone.blocks import Secret
from flowstone.plugins import registry

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.objectstore import ObjectStoreSuite
from flowstone_testing.conformance.suite import Suite

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]

STORE = """
import io, pytest, unicodedata
from itertools import islice
from dataclasses import replace
from pydantic import SecretStr
from flowstone.blocks.object_stores import *
from flowstone.errors import *
from flowstone_testing.conformance.objectstore import ObjectStoreSuite
from flowstone_testing.objects import MemoryObjects, MemoryProvider, _places, _Version

class MutantProvider({kind}Provider):
{provider}

class Mutant({base}):
    def make_provider(self):
        return MutantProvider(*(getattr(self, name) for name in type(self).model_fields))
{block}

class TestMutant(ObjectStoreSuite):
    count = 1500
    big_bytes, most_bytes = 24 * 1024**2, 12 * 1024**2
    presigns = {presigns}
    conditional_writes = True
    keeps_metadata = versions = not {local}

    @pytest.fixture
    def outside(self):
        return None if {local} else Mutant(place=str(id(self)))

    @pytest.fixture
    def store(self, outside, tmp_path):
        if not {local}:
            return Mutant(place=outside.place, folder="some/folder")
        (tmp_path / "store").mkdir()
        return Mutant(basepath=tmp_path / "store")
"""

#: Providers with a fault.
STORES = {
    "a prefix without its slash": (
        "def list(self, prefix): return super().list(prefix.rstrip('/'))",
        "test_folders_with_like_names_do_not_mix test_what_is_beside_the_folder_is_not_seen",
    ),
    "the folder twice": (
        """
        def _twice(self, key): return f"{self.folder}/{key}" if self.folder else key
        def put(self, key, *a): super().put(self._twice(key), *a)
        def _find(self, key): return super()._find(self._twice(key))
        """,
        "test_the_folder_is_applied_once",
    ),
    "the folder dropped where a path begins with it": (
        """
        def _less(self, key): return key.replace(f"{self.folder}/" * 2, f"{self.folder}/")
        def put(self, key, *a): super().put(self._less(key), *a)
        def _find(self, key): return super()._find(self._less(key))
        """,
        "test_a_folder_of_that_name_inside_is_another_one",
    ),
    "one page": (
        "def list(self, prefix): return islice(super().list(prefix), 1000)",
        "test_many_objects_are_all_listed",
    ),
    "no order": (
        "def list(self, prefix): return reversed(list(super().list(prefix)))",
        "test_listing_goes_below_and_is_ordered",
    ),
    "half objects": (
        """
        def put(self, key, source, size):
            done = b""
            try:
                while chunk := source.read(1000_000):
                    done += chunk
            finally:
                super().put(key, io.BytesIO(done), None)
        """,
        "test_a_broken_upload_leaves_nothing",
    ),
    "a whole read of the first part": (
        """
        def read(self, key):
            with self.get(key) as reader: return reader.read(1000_000)
        """,
        "test_a_whole_read_is_what_a_stream_reads",
    ),
    "a whole read from before": (
        """
        def read(self, key):
            if key not in self.known: self.known[key] = super().read(key)
            return self.known[key]
        known = {}
        """,
        "test_a_whole_read_is_what_a_stream_reads",
    ),
    "a whole read of nothing": (
        """
        def read(self, key):
            try: return super().read(key)
            except Exception: return b""
        """,
        "test_what_is_not_there_is_missing",
    ),
    "no offset": (
        "def get(self, key, offset=0): return super().get(key)",
        "test_a_provider_reads_from_an_offset",
    ),
    "no offset, and no seeking": (
        """
        def get(self, key, offset=0):
            class Forward(io.BytesIO):
                def seekable(self): return False
            return Forward(super().get(key).read())
        """,
        "test_a_reader_seeks test_an_archive_is_read_in_place",
    ),
    "an address of its own refused": (
        "def make_key(self, path): return object_key(self.folder, path)",
        "test_an_address_of_its_own_is_understood",
    ),
    "keys cleaned on their way": (
        """
        def _find(self, key):
            return super()._find("/".join(part for part in key.split("/") if part))
        """,
        "test_what_is_listed_is_taken_as_it_is",
    ),
    "long names cut": (
        """
        def put(self, key, source, size):
            folder = self.make_prefix()
            super().put(folder + key.removeprefix(folder)[:3], source, size)
        """,
        "test_any_path_that_is_taken_is_read",
    ),
    "bytes added at the end": (
        """
        def put(self, key, source, size):
            super().put(key, io.BytesIO(source.read() or b"\\n"), size)
        """,
        "test_an_object_may_be_empty",
    ),
    "the wrong size": (
        "def head(self, key): return replace(super().head(key), size=1)",
        "test_size_time_and_etag_are_told test_writing_again_replaces",
    ),
    "a time without a zone": (
        """
        def head(self, key):
            info = super().head(key)
            return replace(info, modified=info.modified.replace(tzinfo=None))
        """,
        "test_size_time_and_etag_are_told",
    ),
    "an etag of each listing": (
        """
        def list(self, prefix):
            for info in super().list(prefix): yield replace(info, etag=str(id(object())))
        """,
        "test_new_objects_are_handed_out_once",
    ),
    "a miss that is remembered": (
        """
        def head(self, key):
            missed = _places.setdefault("missed", set())
            if (self._place, key) in missed: raise ObjectMissing(key, "it was missing", "Look.")
            try:
                return super().head(key)
            except ObjectMissing:
                missed.add((self._place, key))
                raise
        """,
        "test_an_object_is_waited_for",
    ),
    "an etag that stays": (
        "def head(self, key): return replace(super().head(key), etag='1')",
        "test_writing_again_replaces",
    ),
    "missing is empty": (
        """
        def _find(self, key):
            now = __import__("datetime").datetime.now()
            return self._objects().get(key, [_Version(b"", now, 0)])[-1]
        """,
        "test_what_is_not_there_is_missing",
    ),
    "deleting nothing is an error": (
        "def delete(self, keys): [self.head(key) for key in keys]; super().delete(keys)",
        "test_what_is_not_there_is_missing",
    ),
    "deletes one of many": (
        "def delete(self, keys): super().delete(keys[:1])",
        "test_many_objects_are_all_listed",
    ),
    "unicode normalised": (
        """
        def _nfc(self, key): return unicodedata.normalize("NFC", key)
        def put(self, key, *a): super().put(self._nfc(key), *a)
        def _find(self, key): return super()._find(self._nfc(key))
        """,
        "test_names_are_kept_as_they_are",
    ),
    "names unquoted": (
        """
        def put(self, key, *a):
            from urllib.parse import unquote
            super().put(unquote(key), *a)
        """,
        "test_names_are_kept_as_they_are",
    ),
    "a place of its own for each block": (
        "where = property(lambda self: f'memory://{id(self)}')",
        "test_onto_itself_nothing_is_lost",
    ),
    "a copy that keeps the source's key": (
        """
        def copy(self, source, source_key, key):
            super().copy(source, source_key, source_key)
        """,
        "test_a_copy_is_another_object test_objects_go_from_store_to_store",
    ),
    "a delete that does nothing": (
        "def delete(self, keys): ...",
        "test_a_move_leaves_nothing_behind test_new_objects_are_moved_or_deleted",
    ),
    "an upload from the start": (
        "def put(self, key, source, size): source.seek(0); super().put(key, source, size)",
        "test_uploads_begin_where_the_file_stands test_a_source_need_not_seek",
    ),
    "reads all at once": (
        """
        def get(self, key, offset=0):
            class All(io.BytesIO):
                def read(self, size=-1): return super().read()
            return All(super().get(key, offset).read())
        """,
        "test_a_stream_comes_in_chunks test_a_reader_reads_in_parts",
    ),
    "one client for all threads": (
        """
        def put(self, key, source, size):
            client = self._objects()
            client["now"] = key
            content = source.read()
            __import__("time").sleep(0.001)
            super().put(client.pop("now", "lost"), io.BytesIO(content), size)
        """,
        "test_it_may_be_used_from_several_threads",
    ),
    "bytes of a text": (
        """
        def put(self, key, source, size):
            super().put(key, io.BytesIO(source.read().replace(b"\\r\\n", b"\\n").strip()), size)
        """,
        "test_what_is_written_is_read",
    ),
    "a look before a new object": (
        """
        def write(self, key, source, size, options):
            if options.is_new:
                try:
                    self.head(key)
                except ObjectMissing:
                    __import__("time").sleep(0.01)
                else:
                    raise ObjectExists(key)
                options = replace(options, is_new=False)
            super().write(key, source, size, options)
        """,
        "test_only_one_of_many_makes_an_object",
    ),
    "new objects over old ones": (
        """
        def write(self, key, source, size, options):
            super().write(key, source, size, replace(options, is_new=False))
        """,
        "test_a_new_object_is_never_written_over test_only_one_of_many_makes_an_object",
    ),
    "large new objects over old ones": (
        """
        def write(self, key, source, size, options):
            if size is None or size > 1000_000: options = replace(options, is_new=False)
            super().write(key, source, size, options)
        """,
        "test_a_large_new_object_is_never_written_over",
    ),
    "an etag that is not looked at": (
        """
        def write(self, key, source, size, options):
            super().write(key, source, size, replace(options, if_match=None))
        """,
        "test_what_was_changed_is_not_written_over",
    ),
    "an object that was deleted, said to be changed": (
        """
        def upload(self, key, source, options):
            try: super().upload(key, source, options)
            except ObjectChanged as error: raise ObjectChanged(error.where) from None
        """,
        "test_what_was_deleted_is_not_written_over",
    ),
    "a look before a changed object": (
        """
        def write(self, key, source, size, options):
            if options.if_match:
                if self.head(key).etag != options.if_match: raise ObjectChanged(key)
                __import__("time").sleep(0.01)
                options = replace(options, if_match=None)
            super().write(key, source, size, options)
        """,
        "test_no_count_is_lost_between_writers",
    ),
    "an etag of large objects that is not looked at": (
        """
        def write(self, key, source, size, options):
            if size is None or size > 1000_000: options = replace(options, if_match=None)
            super().write(key, source, size, options)
        """,
        "test_a_large_object_that_was_changed_is_not_written_over",
    ),
    "metadata dropped": (
        """
        def write(self, key, source, size, options):
            super().write(key, source, size, replace(options, metadata={}))
        """,
        "test_metadata_and_type_come_back test_names_of_metadata_may_have_underscores",
    ),
    "metadata in the words of headers": (
        """
        def write(self, key, source, size, options):
            found = {name.replace("_", "-"): text for name, text in options.metadata.items()}
            super().write(key, source, size, replace(options, metadata=found))
        """,
        "test_names_of_metadata_may_have_underscores",
    ),
    "a copy of the content alone": (
        """
        def copy(self, source, source_key, key):
            self.put(key, source.get(source_key), None)
        """,
        "test_a_copy_has_the_metadata",
    ),
    "a level that goes below": (
        "def list_level(self, prefix): return self.list(prefix)",
        "test_a_level_is_listed_with_its_folders",
    ),
    "a range to the end": (
        """
        def read_range(self, key, offset, length):
            return self.get(key, offset).read()
        """,
        "test_a_range_is_read_alone",
    ),
    "versions from the oldest": (
        "def list_versions(self, key): return reversed([*super().list_versions(key)])",
        "test_old_versions_are_listed_read_and_restored",
    ),
    "always the newest version": (
        "def get_version(self, key, version): return self.get(key)",
        "test_old_versions_are_listed_read_and_restored",
    ),
    "several deletes, of which the first is lost": (
        "def delete(self, keys): super().delete(keys[1:] or keys)",
        "test_many_are_deleted_at_once",
    ),
    "a checksum that nothing has": (
        "def matches(self, info, file): return False",
        "test_what_is_unchanged_is_not_sent_again",
    ),
    "a checksum that all have": (
        "def matches(self, info, file): return True",
        "test_what_has_changed_is_sent test_a_checksum_says_what_is_so",
    ),
    "a checksum of the first part": (
        """
        def matches(self, info, file):
            with file.open("rb") as content, self.get(info.path) as found:
                return content.read(1000_000) == found.read(1000_000)
        """,
        "test_a_checksum_says_what_is_so",
    ),
}
#: Blocks that do in their own way what the interface does for all.
OVERRIDES = {
    "an address with a secret": (
        """
        token: SecretStr = SecretStr("canary-of-a-token")
        def make_provider(self):
            made = MutantProvider(self.place, self.folder)
            made.urls = [f"memory://{self.token.get_secret_value()}@{self.place}"]
            return made
        """,
        "test_what_is_told_to_other_tools_shows_no_secret",
    ),
    "paths taken raw": (
        """
        def read_path(self, path):
            key = f"{self.folder}/{path}"
            return _places[self.place][key][-1].content
        """,
        "test_a_path_may_not_lead_out test_each_method_has_an_async_twin "  # noqa: ISC004
        "test_spellings_of_a_path_are_one_object test_a_folder_is_no_object",
    ),
    "a pattern that is not looked at": (
        """
        def list_objects(self, folder="", max_items=None, *, pattern=None, delimiter=None):
            return super().list_objects(folder, max_items, delimiter=delimiter)
        """,
        "test_a_listing_may_have_a_pattern",
    ),
    "options that are not looked at": (
        """
        def write_path(self, path, content, **options):
            try: return super().write_path(path, content, **options)
            except (ObjectExists, ObjectChanged): raise
            except StorageError: return super().write_path(path, content)
        """,
        "test_conditions_that_make_no_sense_are_refused",
    ),
    "a folder that swallows errors": (
        """
        def get_directory(self, *a):
            try: return super().get_directory(*a)
            except Exception: return []
        """,
        "test_a_failure_in_a_folder_is_told",
    ),
    "a folder that is not there is nothing": (
        """
        def get_directory(self, *a, **k):
            try: return super().get_directory(*a, **k)
            except ObjectMissing: return []
        """,
        "test_a_folder_that_is_not_there_is_missing test_empty_directories_go_nowhere",
    ),
    "seconds that are not looked at": (
        """
        def wait_for_object(self, path, timeout=None, *a, **k):
            return super().wait_for_object(path, abs(timeout or 0), *a, **k)
        """,
        "test_seconds_that_make_no_sense_are_refused",
    ),
    "a folder upload without the ignore file": (
        """
        def put_directory(self, a=None, b=None, ignore_file=None):
            return super().put_directory(a, b)
        """,
        "test_an_ignore_file_leaves_out",
    ),
    "a folder download with its own path": (
        """
        def get_directory(self, from_path=None, local_path=None):
            return super().get_directory(from_path, f"{local_path}/{from_path or ''}")
        """,
        "test_a_folder_comes_back_as_it_was",
    ),
    "empty directories as objects": (
        """
        def put_directory(self, local_path=None, *a, **k):
            for path in local_path.rglob("*"):
                if path.is_dir(): self.write_path(f"{path.name}/.keep", b"")
            return super().put_directory(local_path, *a, **k)
        """,
        "test_empty_directories_go_nowhere",
    ),
    "a missing directory is nothing": (
        """
        def put_directory(self, local_path=None, *a, **k):
            return super().put_directory(local_path, *a, **k) if local_path.is_dir() else 0
        """,
        "test_a_directory_that_is_not_there_is_an_error",
    ),
    "threads that stay": (
        """
        def put_directory(self, *a, **k):
            import threading
            wait = threading.Event().wait
            args = {"target": wait, "args": (20,), "daemon": True, "name": "flowstone-transfer"}
            threading.Thread(**args).start()
            return super().put_directory(*a, **k)
        """,
        "test_a_folder_goes_in_parallel_and_bounded",
    ),
    "a download in place": (
        """
        def download_object_to_path(self, from_path, to_path):
            to_path.parent.mkdir(exist_ok=True)
            provider = self.make_provider()
            with open(to_path, "wb") as file:
                provider.download(object_key(provider.folder, from_path), file)
            return to_path
        """,
        "test_a_broken_download_leaves_nothing",
    ),
    "a file always under its own name": (
        """
        def upload_from_path(self, from_path, to_path=None):
            return super().upload_from_path(from_path)
        """,
        "test_files_go_up_and_come_down test_upload_and_download_of_folders",
    ),
    "a sync with its own path": (
        """
        def sync_down(self, from_path=None, local_path=None, **options):
            return super().sync_down(from_path, f"{local_path}/{from_path}", **options)
        """,
        "test_a_sync_goes_up_and_comes_down",
    ),
    "a sync that always deletes": (
        """
        def sync_up(self, *a, delete=False, **k): return super().sync_up(*a, delete=True, **k)
        """,
        "test_what_the_source_has_not_is_deleted_on_demand",
    ),
    "a sync that deletes what links lead to": (
        """
        def sync_down(self, from_path=None, local_path=None, **options):
            if options.get("delete"):
                for link in local_path.glob("*"):
                    if link.is_symlink() and link.is_dir():
                        for file in link.iterdir(): file.unlink()
            return super().sync_down(from_path, local_path, **options)
        """,
        "test_what_the_source_has_not_is_deleted_on_demand",
    ),
    "a sync without the ignore file": (
        "def sync_down(self, *a, ignore_file=None, **k): return super().sync_down(*a, **k)",
        "test_a_sync_leaves_alone_what_is_ignored",
    ),
    "a sync that begins anew": (
        """
        def sync_up(self, local_path=None, to_path=None, **options):
            self.delete_folder(to_path)
            return super().sync_up(local_path, to_path, **options)
        """,
        "test_a_sync_goes_on_where_it_broke test_what_is_unchanged_is_not_sent_again",
    ),
    "a sync with nothing": (
        """
        def sync_down(self, *a, **k):
            try: return super().sync_down(*a, **k)
            except ObjectMissing: return SyncResult()
        """,
        "test_a_source_that_is_not_there_deletes_nothing",
    ),
    "a sync that says not what it left out": (
        """
        def sync_up(self, *a, **k):
            try: return super().sync_up(*a, **k)
            except FilesLeftOut: return SyncResult()
        """,
        "test_what_can_be_no_file_is_named",
    ),
}
OTHERS = {
    "an address of another folder": (
        False,
        "def make_uri(self, key): return super().make_uri(f'other/{key}')",
        "test_an_address_leads_back_to_the_folder",
    ),
    "an address beside the folder": (
        False,
        """
        def make_key(self, path):
            return super().make_key(str(path).replace("../", ""))
        """,
        "test_an_address_leads_back_to_the_folder",
    ),
    "none": (False, "", ""),
    "the whole of it in memory": (
        False,
        "def get(self, key, offset=0): return io.BytesIO(super().get(key, offset).read())",
        "test_a_big_object_is_never_whole_in_memory",
    ),
    "a URL to elsewhere": (
        True,
        "def presign(self, key, method, expires): return (self._root() / 'no').as_uri()",
        "test_presigned_urls_need_no_login",
    ),
}

BLOCK = """
import pytest, secrets
from typing import Any, ClassVar
from pydantic import Field, SecretStr, field_serializer, field_validator
from flowstone.blocks import Block
from flowstone_testing.conformance.blocks import BlockSuite

class Mutant(Block):
    _description = "A mutant."
    _code_example = "Mutant()"
    text: str = Field(default="a", description="Text.")
    token: SecretStr = Field(default=SecretStr(""), description="Token.")
{body}

class TestMutant(BlockSuite):
    in_catalog = {catalog}

    @pytest.fixture
    def examples(self):
        return [Mutant(), Mutant(text="b", token="canary-" + secrets.token_hex(12))]
"""

BLOCKS = {
    "none": ("", ""),
    "a repr that shows": (
        "def __repr__(self): return self.token.get_secret_value()",
        "test_secrets_are_masked_where_a_block_is_shown test_secrets_are_known_to_redaction",
    ),
    "a dump that shows": (
        "@field_serializer('token')\ndef show(self, token): return token.get_secret_value()",
        "test_secrets_are_masked_where_a_block_is_shown",
    ),
    "a secret beside its field": (
        """
        shadow: Any = Field(default=None, description="Shadow.")
        def block_initialization(self): self.__dict__["shadow"] = self.token.get_secret_value()
        """,
        "test_secrets_are_sealed_in_documents test_secrets_are_masked_where_a_block_is_shown",
    ),
    "a key in clear": (
        'api_key: str = Field(default="", description="Of the account.")',
        "test_what_is_called_a_secret_is_one",
    ),
    "a pickle in clear": (
        """
        def __reduce__(self): return Mutant._made, (self.text, self.token.get_secret_value())
        @classmethod
        def _made(cls, text, token): return cls(text=text, token=token)
        """,
        "test_secrets_are_sealed_in_pickles",
    ),
    "a pickle that forgets": (
        "def __reduce__(self): return Mutant, ()",
        "test_it_travels_by_pickle",
    ),
    "a copy that can't be": (
        "def __deepcopy__(self, memo=None): return Mutant()",
        "test_a_copy_is_equal",
    ),
    "an error that quotes": (
        """
        def __init__(self, **fields):
            if not isinstance(fields.get("token", ""), (str, SecretStr)): raise ValueError(fields)
            super().__init__(**fields)
        """,
        "test_secrets_are_not_in_errors",
    ),
    "a secret that is not registered": (
        """
        def save(self, *a, **k): return 1
        @classmethod
        def _validate(cls, data, handler): return handler(data)
        """,
        "test_secrets_are_known_to_redaction",
    ),
    "anything goes": (
        "model_config = {'extra': 'ignore'}",
        "test_an_unknown_field_is_refused_by_name test_a_leftover_in_a_document_is_refused_by_name",
    ),
    "a load that looks at nothing": (
        """
        @classmethod
        def load(cls, name): return cls()
        """,
        "test_a_document_of_a_newer_package_is_refused test_it_comes_back_as_it_was_saved",
    ),
    "a migration from the future": (
        "migrations = {2: lambda fields: fields}",
        "test_migrations_lead_to_the_schema_version",
    ),
    "a field without a word": ("bare: int = 1", "test_its_fields_are_described"),
    "no example": ("_code_example = None", "test_it_says_what_it_is"),
    "a secret that is never set": (
        "other: SecretStr | None = Field(default=None, description='Other.')",
        "test_every_secret_field_is_set_in_an_example",
    ),
    "a preparation that changes": (
        "def block_initialization(self): self.text += '!'",
        "test_it_comes_back_as_it_was_saved test_what_is_shown_and_put_back_changes_nothing",
    ),
    "a block that reads its secret when it is made": (
        "def block_initialization(self): self.token and self.token.get_secret_value()",
        "test_a_secret_field_takes_a_reference",
    ),
    "a mask taken for a secret": (
        """
        def model_copy(self, *, update=None, deep=False):
            return type(self).model_construct(**{**self.__dict__, **(update or {})})
        """,
        "test_a_mask_is_not_taken_for_a_secret",
    ),
    "a password in a URL": (
        "url: str = Field(default='', description='Where.')",
        "test_a_url_holds_no_password",
    ),
    "an error of the client's": (
        """
        url: SecretStr = Field(default=SecretStr('http://example.org'), description='Where.')
        def ask(self):
            from urllib.request import urlopen
            return urlopen(self.url.get_secret_value())
        """,
        "test_only_errors_of_ours_come_out",
    ),
    "a coroutine that blocks": (
        """
        host: str = Field(default='example.org', description='Where.')
        async def ask(self):
            import time
            time.sleep(0.001)
        """,
        "test_its_coroutines_let_others_run",
    ),
    "a coroutine that waits for a thread": (
        """
        host: str = Field(default='example.org', description='Where.')
        async def ask(self):
            import threading
            threading.Event().wait(0.4)
        """,
        "test_its_coroutines_let_others_run",
    ),
    "a slug of another's": (
        "_block_type_slug = 'secret'",
        "test_it_is_in_the_catalog",
    ),
    "a slug that changes": (
        """
        @classmethod
        def block_type_slug(cls): return "mutant-" + secrets.token_hex(4)
        """,
        "test_it_comes_back_from_inside_another_block",
    ),
}
#: In test_golden.py, as they need several versions.
VERSIONS = {
    "test_the_fields_are_those_of_the_version",
    "test_documents_of_every_released_version_load",
}

CREDENTIALS = """
import pytest
from pydantic import Field, SecretStr
from flowstone.blocks import Check, Credentials
from flowstone.errors import CredentialsError, Unreachable
from flowstone_testing.conformance.credentials import CredentialsSuite

kept = []

class Mutant(Credentials):
    url: str = Field(default="up", description="Up or down.")
    password: SecretStr = Field(default=SecretStr("wrong password"), description="Right or wrong.")
    def client(self): ...
    def _check(self):
        if self.url == "down": raise Unreachable(self.url, "nobody there", "Try later.")
        if self.password.get_secret_value() != "right password":
            raise CredentialsError(self.url, "refused", "Give another.")
        return "you are in"
{body}

class TestMutant(CredentialsSuite):
    @pytest.fixture
    def good(self): return Mutant(url="up", password="right password")
    @pytest.fixture
    def refused(self): return Mutant(url="up", password="wrong password")
    @pytest.fixture
    def unreachable(self): return Mutant(url="down", password="right password")
"""

LOGINS = {
    "none": ("", ""),
    "always ok": (
        "def _check(self): return 'fine'",
        "test_a_refused_login_says_why test_an_unreachable_service_says_so",
    ),
    "never ok": ("def _check(self): raise ValueError", "test_a_good_login_is_ok"),
    "an error": (
        """
        def check(self):
            self._check()
            return Check(True, "in", 0.1)
        """,
        "test_a_refused_login_says_why",
    ),
    "a reason that quotes": (
        "def check(self): return Check(False, repr(self.password.get_secret_value()), 0.1)",
        "test_a_refused_login_says_why",
    ),
    "no time": ("def check(self): return Check(True, 'in', 0)", "test_a_good_login_is_ok"),
    "one answer for all": (
        """
        def check(self):
            import builtins
            builtins.flowstone_answer = getattr(builtins, "flowstone_answer", super().check())
            return builtins.flowstone_answer
        """,
        "test_a_check_looks_again_each_time",
    ),
    "a field that is required": (
        "user: str = Field(description='Who.')",
        "test_all_fields_are_optional",
    ),
    "a login that is lost": (
        """
        @classmethod
        def load(cls, name): return cls()
        """,
        "test_a_loaded_login_is_as_good",
    ),
    "a socket that stays": (
        """
        def _check(self):
            import socket
            kept.append(socket.socket())
            return "you are in"
        """,
        "test_checks_leave_nothing_open",
    ),
    "a twin of its own": (
        "async def acheck(self): return Check(True, 'in', 0.1)",
        "test_the_async_twin_says_the_same",
    ),
}


@pytest.fixture(autouse=True)
def gone() -> Iterator[None]:
    """Give back the slug that a mutant took: the newest of a slug counts, and others save it."""
    yield
    registry.define("secret", Secret)


def run(pytester: pytest.Pytester, source: str, tests: str) -> None:
    pytester.makepyfile(source)
    quiet = ("-p", "no:cacheprovider", "-q", "--timeout=300")
    if not tests:
        outcome = pytester.runpytest_inprocess(*quiet).parseoutcomes()
        assert outcome.keys() <= {"passed", "skipped"}  # what it is declared to lack
    for test in tests.split():
        outcome = pytester.runpytest_inprocess(*quiet, "-k", test).parseoutcomes()
        assert outcome.get("failed") or outcome.get("errors"), f"{test} does not bite"


def body(text: str) -> str:
    return indent(dedent(text), "    ") if text else "    pass"


def store_source(
    provider: str = "", block: str = "", *, local: bool = False, presigns: bool = False
) -> str:
    return STORE.format(
        kind="Local" if local else "Memory",
        base="LocalDirectory" if local else "MemoryObjects",
        provider=body(provider),
        block=indent(dedent(block), "    "),
        local=local,
        presigns=presigns,
    )


@pytest.mark.parametrize("fault", STORES)
def test_object_stores(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = STORES[fault]
    run(pytester, store_source(provider=text), tests)


@pytest.mark.parametrize("fault", OVERRIDES)
def test_overrides_of_object_stores(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = OVERRIDES[fault]
    run(pytester, store_source(block=text), tests)


@pytest.mark.parametrize("fault", OTHERS)
def test_local_stores(pytester: pytest.Pytester, fault: str) -> None:
    presigns, text, tests = OTHERS[fault]
    run(pytester, store_source(provider=text, local=True, presigns=presigns), tests)


@pytest.mark.parametrize("fault", BLOCKS)
def test_blocks(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = BLOCKS[fault]
    catalog = fault == "a slug of another's"
    run(pytester, BLOCK.format(body=body(text), catalog=catalog), tests)


@pytest.mark.parametrize("fault", LOGINS)
def test_credentials(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = LOGINS[fault]
    run(pytester, CREDENTIALS.format(body=body(text)), tests)


def named(*faults: str) -> set[str]:
    return {test for tests in faults for test in tests.split()}


@pytest.mark.parametrize(
    ("suite", "bitten"),
    [
        (
            ObjectStoreSuite,
            named(*(f[-1] for table in (STORES, OVERRIDES, OTHERS) for f in table.values())),
        ),
        (BlockSuite, named(*(f[-1] for f in BLOCKS.values())) | VERSIONS),
        (CredentialsSuite, named(*(f[-1] for f in LOGINS.values()))),
    ],
)
def test_each_standard_test_has_a_mutant(suite: type[Suite], bitten: set[str]) -> None:
    standard = {name for name in dir(suite) if name.startswith("test_")}
    assert bitten == standard
