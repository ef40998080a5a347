"""A cloud's SDK is imported only for the clouds that are chosen."""

import subprocess
import sys

from stacks import clouds, settings


def test_every_cloud_that_the_settings_allow_is_offered() -> None:
    assert tuple(clouds.OFFERED) == settings.CLOUDS


def test_reading_settings_and_listing_clouds_imports_no_sdk_of_a_cloud() -> None:
    program = (
        "import sys, stacks.clouds, stacks.environment, stacks.settings\n"
        "print([name for name in sys.modules if name.startswith(('pulumi_aws', 'pulumi_gcp', 'pulumi_azure'))])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
