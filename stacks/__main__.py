"""One environment on every cloud that its settings choose; in the stacks `bootstrap-…`, what a whole account needs."""

import pulumi

from stacks import clouds
from stacks.bootstrap import Bootstrap
from stacks.environment import Environment
from stacks.settings import BootstrapSettings, Settings

settings = Settings.load()
for cloud in clouds.chosen(settings):
    part = Bootstrap(settings, cloud) if isinstance(settings, BootstrapSettings) else Environment(settings, cloud)
    pulumi.export(cloud.name, part.outputs)
