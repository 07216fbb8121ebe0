"""Changes of a VM's hardware: what each does, and the operation that does one or several of them."""
