"""The version of this package; the agent learns it in the first message."""

VERSION = "0.1.0"
