"""Secret providers: where references to secrets lead, and a secret as a block."""
