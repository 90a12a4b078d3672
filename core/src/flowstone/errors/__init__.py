"""The errors that Flowstone raises: one tree, drawn here.

FlowstoneError
├── ConfigurationError (ValueError)        a setting, an option, a home that can't be used
├── ParameterError                         a flow was called with what it does not take
│   ├── ParameterBindError (TypeError)
│   ├── ParameterTypeError (TypeError)
│   ├── MappingMissingIterable (TypeError)
│   └── MappingLengthMismatch (ValueError)
├── RunError                               what a run's end means to whoever asks for its result
│   ├── FailedRun
│   ├── CrashedRun
│   │   └── ProcessDied                    in which a task ran
│   │       └── ProcessLost                of a cluster
│   ├── CancelledRun
│   ├── UnfinishedRun
│   ├── UpstreamTaskError
│   ├── ElementFailed                      of a batch of a `.map`
│   ├── RunTimeout (TimeoutError)
│   ├── ClosedEarly (RuntimeError)         a run whose function yields, before it was exhausted
│   ├── NotSendable (TypeError)            to or from another process
│   ├── RemoteTraceback                    the cause of an error that came from another process
│   ├── FutureUnresolved (TypeError, AttributeError)    a future used as its value
│   ├── MissingResult (LookupError)
│   ├── NotHashable (TypeError)
│   │   └── KeyNotMade                     by a function or a policy of somebody's own
│   ├── NotSerializable (TypeError)
│   ├── UnreadableResult (ValueError)
│   ├── ArtifactInvalid (ValueError)
│   ├── NotRepeatable                      it can't be executed again
│   ├── RunNotEnded                        it can't be cleaned up or deleted yet
│   ├── NotScheduled                       it does not wait to be executed
│   ├── NotPausable (RuntimeError)
│   ├── NotPaused                          it does not wait to be resumed
│   ├── PauseTimeout (TimeoutError)
│   ├── InputInvalid (ValueError)          what a run was resumed with
│   ├── SuspendedRun                       it waits to be resumed elsewhere
│   ├── MissingContextError (RuntimeError)
│   └── ValueNotComputed (TypeError)        of a task, in a flow that is drawn and not run
├── StoreError                             the place where facts are kept
│   ├── RunNotFound (LookupError)
│   ├── Conflict
│   ├── IllegalTransition
│   ├── StoreBusy (TimeoutError)
│   ├── StoreUnusable (OSError)
│   ├── StoreForeign
│   ├── StoreTooNew
│   └── RecordInvalid (ValueError)
├── DocumentError                          something saved by name
│   ├── ObjectNotFound (LookupError, ValueError)
│   ├── ObjectAlreadyExists (ValueError)
│   ├── StaleDocument
│   ├── InvalidName (ValueError)
│   ├── DocumentInvalid (ValueError)
│   ├── ManifestInvalid (ValueError)       a file that should become documents
│   └── BlockInvalid (ValueError)
├── LimitError                             slots under a limit
│   ├── SlotTimeout (TimeoutError)
│   └── SlotsLost (RuntimeError)
├── LockNotHeld (ValueError)               by who releases it
├── ScheduleInvalid (ValueError)           its rule, time zone or an option
├── SecretError
│   ├── SecretKeyInvalid (ValueError)
│   ├── SecretUnreadable
│   ├── ReferenceUnresolved (LookupError)
│   └── SecretStoreError                   a place that secrets are read from
│       ├── SecretMissing (LookupError)
│       └── SecretReadOnly (PermissionError)
├── PluginError
│   ├── PluginBroken (ImportError)
│   ├── ImportFailed (ImportError)         the module of a public name
│   ├── PluginHangs (TimeoutError)
│   ├── UnknownName (LookupError, ValueError)
│   ├── MissingExtra (ImportError)
│   └── MissingPackage (ImportError)
├── StorageError (OSError)                 an object store
│   ├── ObjectChanged
│   ├── ObjectExists (FileExistsError)
│   ├── ObjectMissing (FileNotFoundError)
│   ├── ObjectTimeout (TimeoutError)
│   ├── BucketMissing (FileNotFoundError)
│   ├── AccessDenied (PermissionError)
│   ├── Unreachable (ConnectionError)
│   ├── PathInvalid (ValueError)
│   ├── PathEscapes (ValueError)
│   └── FilesLeftOut                       of a folder
├── DatabaseError                          a database
│   ├── QueryInvalid (ValueError)
│   ├── TableMissing (LookupError)
│   ├── IntegrityViolated (ValueError)
│   ├── RowsInvalid (ValueError)           of an insert
│   ├── DatabaseUnreachable (ConnectionError)
│   ├── DatabaseDenied (PermissionError)
│   ├── DatabaseBusy (TimeoutError)
│   └── QueryCancelled
├── CredentialsError                       a login that can't be made, or was refused
├── NotificationFailed (OSError)           a notifier did not deliver, or may not have
│   ├── NotificationUnsent (ConnectionError)    certainly not, and it may be sent again
│   ├── NotificationDenied (PermissionError)    the login, or the secret URL, is no good
│   └── NotificationInvalid (ValueError)
└── JobError                               a job that runs elsewhere
    ├── JobFailed (RuntimeError)
    ├── JobCancelled
    ├── JobTimeout (TimeoutError)          it goes on; only the waiting has ended
    └── JobLost (LookupError)

StopSignal (BaseException)                 ends a run; no `except Exception` may swallow it
├── TerminationSignal                      the process was asked to end
├── CancelSignal                           the flow run around it is being cancelled
├── SuspendSignal                          the flow run goes out of this process, to come back
└── FencedRun                              somebody else has ended or taken over this run
"""

from flowstone.errors.base import (
    ConfigurationError,
    FlowstoneError,
    replace_errors,
    suggest_names,
)
from flowstone.errors.blocks import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    FilesLeftOut,
    ImportFailed,
    MissingExtra,
    MissingPackage,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    ObjectTimeout,
    PathEscapes,
    PathInvalid,
    PluginBroken,
    PluginError,
    PluginHangs,
    ReferenceUnresolved,
    SecretError,
    SecretKeyInvalid,
    SecretMissing,
    SecretReadOnly,
    SecretStoreError,
    SecretUnreadable,
    StorageError,
    UnknownName,
    Unreachable,
)
from flowstone.errors.databases import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    RowsInvalid,
    TableMissing,
)
from flowstone.errors.limits import LimitError, LockNotHeld, SlotsLost, SlotTimeout
from flowstone.errors.runs import (
    ArtifactInvalid,
    CancelledRun,
    CancelSignal,
    ClosedEarly,
    CrashedRun,
    ElementFailed,
    FailedRun,
    FencedRun,
    FutureUnresolved,
    InputInvalid,
    KeyNotMade,
    MappingLengthMismatch,
    MappingMissingIterable,
    MissingContextError,
    MissingResult,
    NotHashable,
    NotPausable,
    NotPaused,
    NotRepeatable,
    NotScheduled,
    NotSendable,
    NotSerializable,
    ParameterBindError,
    ParameterError,
    ParameterTypeError,
    PauseTimeout,
    ProcessDied,
    ProcessLost,
    RemoteTraceback,
    RunError,
    RunNotEnded,
    RunTimeout,
    StopSignal,
    SuspendedRun,
    SuspendSignal,
    TerminationSignal,
    UnfinishedRun,
    UnreadableResult,
    UpstreamTaskError,
    ValueNotComputed,
)
from flowstone.errors.schedules import ScheduleInvalid
from flowstone.errors.services import (
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    JobTimeout,
    NotificationDenied,
    NotificationFailed,
    NotificationInvalid,
    NotificationUnsent,
)
from flowstone.errors.stores import (
    BlockInvalid,
    Conflict,
    DocumentError,
    DocumentInvalid,
    IllegalTransition,
    InvalidName,
    ManifestInvalid,
    ObjectAlreadyExists,
    ObjectNotFound,
    RecordInvalid,
    RunNotFound,
    StaleDocument,
    StoreBusy,
    StoreError,
    StoreForeign,
    StoreTooNew,
    StoreUnusable,
)

__all__ = [
    "AccessDenied",
    "ArtifactInvalid",
    "BlockInvalid",
    "BucketMissing",
    "CancelSignal",
    "CancelledRun",
    "ClosedEarly",
    "ConfigurationError",
    "Conflict",
    "CrashedRun",
    "CredentialsError",
    "DatabaseBusy",
    "DatabaseDenied",
    "DatabaseError",
    "DatabaseUnreachable",
    "DocumentError",
    "DocumentInvalid",
    "ElementFailed",
    "FailedRun",
    "FencedRun",
    "FilesLeftOut",
    "FlowstoneError",
    "FutureUnresolved",
    "IllegalTransition",
    "ImportFailed",
    "InputInvalid",
    "IntegrityViolated",
    "InvalidName",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobTimeout",
    "KeyNotMade",
    "LimitError",
    "LockNotHeld",
    "ManifestInvalid",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MissingContextError",
    "MissingExtra",
    "MissingPackage",
    "MissingResult",
    "NotHashable",
    "NotPausable",
    "NotPaused",
    "NotRepeatable",
    "NotScheduled",
    "NotSendable",
    "NotSerializable",
    "NotificationDenied",
    "NotificationFailed",
    "NotificationInvalid",
    "NotificationUnsent",
    "ObjectAlreadyExists",
    "ObjectChanged",
    "ObjectExists",
    "ObjectMissing",
    "ObjectNotFound",
    "ObjectTimeout",
    "ParameterBindError",
    "ParameterError",
    "ParameterTypeError",
    "PathEscapes",
    "PathInvalid",
    "PauseTimeout",
    "PluginBroken",
    "PluginError",
    "PluginHangs",
    "ProcessDied",
    "ProcessLost",
    "QueryCancelled",
    "QueryInvalid",
    "RecordInvalid",
    "ReferenceUnresolved",
    "RemoteTraceback",
    "RowsInvalid",
    "RunError",
    "RunNotEnded",
    "RunNotFound",
    "RunTimeout",
    "ScheduleInvalid",
    "SecretError",
    "SecretKeyInvalid",
    "SecretMissing",
    "SecretReadOnly",
    "SecretStoreError",
    "SecretUnreadable",
    "SlotTimeout",
    "SlotsLost",
    "StaleDocument",
    "StopSignal",
    "StorageError",
    "StoreBusy",
    "StoreError",
    "StoreForeign",
    "StoreTooNew",
    "StoreUnusable",
    "SuspendSignal",
    "SuspendedRun",
    "TableMissing",
    "TerminationSignal",
    "UnfinishedRun",
    "UnknownName",
    "Unreachable",
    "UnreadableResult",
    "UpstreamTaskError",
    "ValueNotComputed",
    "replace_errors",
    "suggest_names",
]
