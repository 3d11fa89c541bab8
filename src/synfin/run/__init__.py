"""Any program on a network of its own, carried by synfin: `synfin run`."""
