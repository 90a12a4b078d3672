"""Tasks that come with Flowstone, made of its blocks."""
