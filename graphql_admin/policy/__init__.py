"""The policy file, and the decisions that follow from it: who may do what to whom."""
