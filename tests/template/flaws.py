"""What a package may do wrong: one edit each, and the test of a suite that must find it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flaw:
    """One edit that makes a package wrong.

    Attributes:
        package: which.
        suite: the class, in `tests/test_conformance.py`, that joins the suite which finds it.
        test: of that suite, that must fail.
        file: of the package's sources.
        old: what is there once.
        new: what is there instead.
    """

    package: str
    suite: str
    test: str
    file: str
    old: str
    new: str


FLAWS = {
    "a block shows its secret": Flaw(
        "flowstone-acme",
        "TestAcmeCredentialsBlock",
        "test_secrets_are_masked_where_a_block_is_shown",
        "credentials.py",
        "    def client(",
        "    def __repr__(self) -> str:\n"
        '        return self.token.get_secret_value() if self.token else ""\n\n'
        "    def client(",
    ),
    "a block gets a field, and no other version": Flaw(
        "flowstone-acme",
        "TestAcmeCredentialsBlock",
        "test_the_fields_are_those_of_the_version",
        "credentials.py",
        "    def client(",
        '    region: str = Field(default="", description="Where.")\n\n    def client(',
    ),
    "a login keeps its token in clear": Flaw(
        "flowstone-acme",
        "TestAcmeCredentialsBlock",
        "test_what_is_called_a_secret_is_one",
        "credentials.py",
        "    token: SecretStr | None = ",
        "    token: str | None = ",
    ),
    "a login is checked without asking": Flaw(
        "flowstone-acme",
        "TestAcmeLogin",
        "test_a_refused_login_says_why",
        "credentials.py",
        'return f"user {self.whoami()!r}"',
        'return "user"',
    ),
    "a store reads from the beginning": Flaw(
        "flowstone-acme",
        "TestAcmeStore",
        "test_a_provider_reads_from_an_offset",
        "store.py",
        'f"bytes={offset}-"',
        '"bytes=0-"',
    ),
    "a store lists only the first page": Flaw(
        "flowstone-acme",
        "TestAcmeStore",
        "test_many_objects_are_all_listed",
        "store.py",
        "page = self._page(prefix, page[-1].path)",
        "page = []",
    ),
    "a database does not begin a transaction": Flaw(
        "flowstone-ledger",
        "TestLedgerDatabase",
        "test_an_error_rolls_back",
        "database.py",
        '"BEGIN IMMEDIATE"',
        '"SELECT 1"',
    ),
    "a database's errors are all alike": Flaw(
        "flowstone-ledger",
        "TestLedgerDatabase",
        "test_a_broken_constraint_is_told",
        "errors.py",
        '"constraint": (IntegrityViolated,',
        '"constraint": (DatabaseError,',
    ),
    "a notifier swallows a refusal": Flaw(
        "flowstone-horn",
        "TestHornNotifier",
        "test_a_refusal_is_told_once",
        "notifier.py",
        ", json=content).raise_for_status()",
        ", json=content)",
    ),
    "a notifier sends again what may have arrived": Flaw(
        "flowstone-horn",
        "TestHornNotifier",
        "test_a_silent_service_is_given_up",
        "errors.py",
        "raise NotificationFailed(where, problem, remedy) from error",
        "raise NotificationUnsent(where, problem, remedy) from error",
    ),
    "a task does not say what it takes": Flaw(
        "flowstone-acme",
        "TestAcmeTasks",
        "test_every_parameter_is_documented",
        "tasks.py",
        "        folder: the folder, in the store's folder.\n",
        "",
    ),
    "a plugin loads its SDK": Flaw(
        "flowstone-acme",
        "TestAcmePlugin",
        "test_listing_loads_no_sdk",
        "plugin.py",
        "from flowstone.plugins",
        "import httpx\n\nfrom flowstone.plugins",
    ),
}
