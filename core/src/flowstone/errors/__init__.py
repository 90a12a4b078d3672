"""The errors that Flowstone raises, as a tree.

FlowstoneError
├── ConfigurationError (ValueError)        an invalid setting, option or home
├── ParameterError                         a flow was called with invalid arguments
│   ├── ParameterBindError (TypeError)
│   ├── ParameterTypeError (TypeError)
│   ├── MappingMissingIterable (TypeError)
│   └── MappingLengthMismatch (ValueError)
├── RunError                               the outcome of a run, for code that reads its result
│   ├── FailedRun
│   ├── CrashedRun
│   │   └── ProcessDied                    the process of a task
│   │       └── ProcessLost                a process of a cluster
│   ├── CancelledRun
│   ├── UnfinishedRun
│   ├── UpstreamTaskError
│   ├── ElementFailed                      of a batch of a `.map`
│   ├── RunTimeout (TimeoutError)
│   ├── ClosedEarly (RuntimeError)         a run whose function yields, before its last value
│   ├── NotSendable (TypeError)            to or from another process
│   ├── RemoteTraceback                    the cause of an error that came from another process
│   ├── FutureUnresolved (TypeError, AttributeError)    a future used as its value
│   ├── MissingResult (LookupError)
│   ├── NotHashable (TypeError)
│   │   └── KeyNotMade                     by a user's function or policy
│   ├── NotSerializable (TypeError)
│   ├── UnreadableResult (ValueError)
│   ├── ArtifactInvalid (ValueError)
│   ├── NotRepeatable                      it can't be executed again
│   ├── RunNotEnded                        it must end before cleanup or deletion
│   ├── NotScheduled                       it is not scheduled
│   ├── NotPausable (RuntimeError)
│   ├── NotPaused                          it is not paused or suspended
│   ├── PauseTimeout (TimeoutError)
│   ├── InputInvalid (ValueError)          the input for resuming a run
│   ├── SuspendedRun                       it waits to be resumed elsewhere
│   ├── MissingContextError (RuntimeError)
│   └── ValueNotComputed (TypeError)        of a task, in a flow that is only drawn
├── StoreError                             the store of events and documents
│   ├── RunNotFound (LookupError)
│   ├── Conflict
│   ├── IllegalTransition
│   ├── StoreBusy (TimeoutError)
│   ├── StoreUnusable (OSError)
│   ├── StoreForeign
│   ├── StoreTooNew
│   └── RecordInvalid (ValueError)
├── DocumentError                          a document, saved by name
│   ├── ObjectNotFound (LookupError, ValueError)
│   ├── ObjectAlreadyExists (ValueError)
│   ├── StaleDocument
│   ├── InvalidName (ValueError)
│   ├── DocumentInvalid (ValueError)
│   ├── ManifestInvalid (ValueError)       a file of documents
│   └── BlockInvalid (ValueError)
├── LimitError                             slots under a limit
│   ├── SlotTimeout (TimeoutError)
│   └── SlotsLost (RuntimeError)
├── LockNotHeld (ValueError)               when it is released
├── ScheduleInvalid (ValueError)           its rule, time zone or an option
├── SecretError
│   ├── SecretKeyInvalid (ValueError)
│   ├── SecretUnreadable
│   ├── ReferenceUnresolved (LookupError)
│   └── SecretStoreError                   a secret provider
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
├── CredentialsError                       invalid or refused credentials
├── NotificationFailed (OSError)           a notifier did not deliver, or may not have
│   ├── NotificationUnsent (ConnectionError)    certainly not; it may be sent again
│   ├── NotificationDenied (PermissionError)    refused credentials or secret URL
│   └── NotificationInvalid (ValueError)
└── JobError                               a job that runs elsewhere
    ├── JobFailed (RuntimeError)
    ├── JobCancelled
    ├── JobTimeout (TimeoutError)          it is still running; the wait has ended
    └── JobLost (LookupError)

StopSignal (BaseException)                 ends a run; `except Exception` does not swallow it
├── TerminationSignal                      the process was asked to terminate
├── CancelSignal                           the flow run around it is being cancelled
├── SuspendSignal                          the flow run is suspended
└── FencedRun                              the run was ended or taken over elsewhere
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
