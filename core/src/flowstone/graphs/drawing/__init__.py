"""Pictures of graphs: cards, layout, and SVG."""
