"""What the facts mean. Pure: facts in, diagnosis out; nothing here touches the machine."""
