"""The engine: canvases, augmentation, schedules, optimisers, the Plan, and the one loop."""
