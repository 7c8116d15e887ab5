"""Engines for Forge's family: lllyasviel's Forge, reForge and Forge Neo. What they call is in `script`; importing this
package imports nothing of theirs."""
