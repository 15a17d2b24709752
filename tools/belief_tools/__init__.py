"""The belief as a language model's tool: consulted before a price is said."""
