"""The agent: a process of its own that shows what the journal tells, by HTTP. It may end at any time; the app never feels it."""
