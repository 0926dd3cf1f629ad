"""What Streamlit is told: the values that protect people, and colours that can be read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from core.settings import ROOT, Settings

CONFIGURATION = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))

PROTECTING = {
    "server.address": "127.0.0.1",
    "server.allowedHosts": ["127.0.0.1", "localhost"],
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.corsAllowedOrigins": [],
    "server.maxUploadSize": 50,
    "server.maxMessageSize": 50,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.trustedUserHeaders": {},
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    "client.allowedOrigins": [],
    "browser.gatherUsageStats": False,
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,
}

# Streamlit's own words for a file it has read, in a process where nobody else has set anything.
EFFECTIVE = """
import json, sys
from streamlit import config
config.get_config_options(force_reparse=True)
names = json.loads(sys.argv[1])
unknown = [n for n in names if n not in config._config_options_template]
print(json.dumps({"values": {n: config.get_option(n) for n in names if n not in unknown}, "unknown": unknown}))
"""


def effective(names: list[str]) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    command = [sys.executable, "-c", EFFECTIVE, json.dumps(names)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flattened: dict[str, Any] = {}
    for name, value in section.items():
        nested = isinstance(value, dict) and value
        flattened |= flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flattened


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, of #rrggbb."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mixed(text: str, background: str, share: float) -> str:
    pairs = [(int(text[i : i + 2], 16), int(background[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def backgrounds(theme: dict[str, Any]) -> list[str]:
    sections = (theme, theme["sidebar"])
    return [section[name] for section in sections for name in ("backgroundColor", "secondaryBackgroundColor")]


def test_streamlit_takes_every_protecting_value_from_the_file() -> None:
    assert effective(list(PROTECTING))["values"] == PROTECTING


@pytest.mark.parametrize("name", PROTECTING)
def test_each_protecting_value_is_written_down_and_not_left_to_a_default(name: str) -> None:
    assert flat(CONFIGURATION)[name] == PROTECTING[name]


def test_streamlit_knows_every_option_of_the_file() -> None:
    assert effective(list(flat(CONFIGURATION)))["unknown"] == []


def test_the_largest_upload_is_the_same_in_both_places() -> None:
    assert CONFIGURATION["server"]["maxUploadSize"] == Settings.model_fields["upload_mb"].default


def test_the_look_follows_the_system() -> None:
    # A colour in [theme] itself would fix one look for everybody.
    shared = set(CONFIGURATION["theme"]) - {"light", "dark"}
    assert shared <= {"headingFontSizes", "paddingTop", "paddingBottom"}
    light, dark = CONFIGURATION["theme"]["light"], CONFIGURATION["theme"]["dark"]
    assert flat(light).keys() == flat(dark).keys()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_text_can_be_read_on_every_background(look: str) -> None:
    theme = CONFIGURATION["theme"][look]
    for background in backgrounds(theme):
        assert contrast(theme["textColor"], background) >= 7, background
        for name in ("linkColor", *(name for name in theme if name.endswith("TextColor") and "Header" not in name)):
            assert contrast(theme[name], background) >= 4.5, (name, background)
    for section in (theme, theme["sidebar"]):  # captions are the text colour at 60 %
        caption = mixed(theme["textColor"], section["backgroundColor"], 0.6)
        assert contrast(caption, section["backgroundColor"]) >= 4.5
    assert contrast(theme["dataframeHeaderTextColor"], theme["dataframeHeaderBackgroundColor"]) >= 7


@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_primary_colour_carries_white_text_and_stands_out(look: str) -> None:
    theme = CONFIGURATION["theme"][look]
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5
    assert all(contrast(theme["primaryColor"], background) >= 3 for background in backgrounds(theme))
    assert all(contrast(colour, theme["backgroundColor"]) >= 3 for colour in theme["chartCategoricalColors"])


def test_every_requirement_is_pinned_to_one_version_and_torch_without_a_build() -> None:
    pins: dict[str, str] = {}
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r ")):
                found = re.fullmatch(r"([a-z0-9][a-z0-9.-]*)==([0-9][a-z0-9.]*)(; sys_platform .*)?", line)
                assert found, line
                assert found[1] not in pins, f"{found[1]} is pinned twice"
                pins[found[1]] = found[2]
    assert pins["torch"] == "2.13.0"


def test_the_environment_is_the_one_that_is_pinned() -> None:
    from importlib.metadata import PackageNotFoundError, version

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line.split(";")[0] for line in lines if not line.startswith("#")]
    pins = dict(line.split("==") for line in requirements if "==" in line)
    found: dict[str, str] = {}
    for name in pins:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            found[name] = "absent"
    assert found == pins
