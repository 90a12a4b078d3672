"""Input of runs: typed questions to people, and messages to a run."""

from flowstone.flow_runs.inputs import (
    Received,
    RunInput,
    RunInputMetadata,
    asend_input,
    receive_input,
    send_input,
)

__all__ = ["Received", "RunInput", "RunInputMetadata", "asend_input", "receive_input", "send_input"]
