"""What every store needs: a database, its address, texts as they are, and how a store is found or made in it."""
