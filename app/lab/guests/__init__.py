"""The tiny guests that run on the hosts: their XML, and the kernel, initrd and boot media that they start from."""
