"""PURE: desired + observed + memory + now -> Plan. No clock, no socket, no SQL; time is data."""
