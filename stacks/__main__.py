"""One environment, on every cloud that its settings choose."""

import pulumi

from stacks import clouds
from stacks.environment import Environment
from stacks.settings import Settings

settings = Settings.load()
for cloud in clouds.chosen(settings):
    pulumi.export(cloud.name, Environment(settings, cloud).outputs)
