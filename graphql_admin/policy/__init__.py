"""Who may do what to whom: the policy file, and the decisions that follow from it."""
