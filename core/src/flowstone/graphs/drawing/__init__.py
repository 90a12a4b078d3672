"""Pictures of graphs: cards, their places on the page, and SVG."""
