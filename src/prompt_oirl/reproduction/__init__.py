"""The paper's tables from the released logs, and the leak-free ones."""
