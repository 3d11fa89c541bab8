"""The questions people ask about TCP, each an experiment that anyone can run: `synfin lab`."""
