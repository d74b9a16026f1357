"""What to do about a fault. Each remedy plans, purely, from facts; `apply` alone touches the machine."""
