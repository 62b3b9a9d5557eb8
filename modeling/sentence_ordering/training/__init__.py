"""What happens around the stock Trainer."""
