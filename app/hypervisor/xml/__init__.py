"""Reading of libvirt's XML."""
