"""Which region Azure pairs with which: where it keeps the second copy of geo-redundant storage."""

# Source: Microsoft, "Azure region pairs"; those of them that have zones.
PAIRS = {
    "australiaeast": "australiasoutheast",
    "brazilsouth": "southcentralus",
    "canadacentral": "canadaeast",
    "centralindia": "southindia",
    "centralus": "eastus2",
    "eastasia": "southeastasia",
    "eastus": "westus",
    "eastus2": "centralus",
    "francecentral": "francesouth",
    "germanywestcentral": "germanynorth",
    "japaneast": "japanwest",
    "koreacentral": "koreasouth",
    "northeurope": "westeurope",
    "norwayeast": "norwaywest",
    "southafricanorth": "southafricawest",
    "southcentralus": "northcentralus",
    "southeastasia": "eastasia",
    "swedencentral": "swedensouth",
    "switzerlandnorth": "switzerlandwest",
    "uaenorth": "uaecentral",
    "uksouth": "ukwest",
    "westeurope": "northeurope",
    "westus2": "westcentralus",
    "westus3": "eastus",
}
