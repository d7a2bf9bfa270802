"""What a run is to buy and what that costs: the grid, tokens, prices, the budget."""
