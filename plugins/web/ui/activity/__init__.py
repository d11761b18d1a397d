"""What was and is done: operations and the audit."""
