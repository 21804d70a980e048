"""A fit from beginning to end: prepared, trained, judged, and what it has to show for itself."""
