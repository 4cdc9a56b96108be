"""Judge recorded runs: runs -> window -> metrics -> summary -> compare -> charts, report, gate."""
