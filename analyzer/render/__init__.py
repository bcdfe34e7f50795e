"""Reports and impacts as text for people and programs: one module for each format."""
