"""The plugin as the engine finds it: an executable that starts at once, and the archive that installs it."""

from local.provider.plugin.package import build_plugin_archive, install

__all__ = ["build_plugin_archive", "install"]
