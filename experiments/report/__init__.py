"""Reports: a page, its Markdown twin, and the records that both are made of."""
