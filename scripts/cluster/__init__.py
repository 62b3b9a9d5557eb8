"""What `order_ray.py` knows of its input and output before and after the cluster works on them."""
