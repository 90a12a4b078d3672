"""What tests of flows, blocks and plugins need."""
