"""What a diffusion model does, drawn: both processes, the schedules, the score field, the weights of the levels."""
