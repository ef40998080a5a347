// Reads cases as JSON lines, writes iam-simulate's verdict on each as a line.
// The argument is the directory whose node_modules holds @cloud-copilot/iam-simulate. Its engine is called
// without the package's front: that knows no session policies and wants only actions of its own data.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const home = `${process.argv[2]}/node_modules/@cloud-copilot`;
const load = createRequire(`${home}/iam-simulate/package.json`);
const inside = (path) => load(`${home}/iam-simulate/dist/cjs/${path}`);
const { loadPolicy } = load("@cloud-copilot/iam-policy");
const { authorize } = inside("core_engine/CoreSimulatorEngine.js");
const { AwsRequestImpl } = inside("request/request.js");
const { RequestContextImpl } = inside("requestContext.js");
const { DiscoveryContextKeyConstraints } = inside("context_keys/discoveryContextKeyConstraints.js");

const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
const read = (document, name) => (document ? loadPolicy(document, { name }) : undefined);

function verdict(c) {
  const resource = { resource: c.resource, accountId: c.account };
  return authorize({
    request: new AwsRequestImpl(c.principal, resource, c.action, new RequestContextImpl(c.context)),
    sessionPolicy: read(c.session, "session"),
    identityPolicies: c.identity.map((document, index) => read(document, `identity ${index}`)),
    serviceControlPolicies: [{ orgIdentifier: "o", policies: [read(everything, "everything")] }],
    resourceControlPolicies: [],
    resourcePolicy: read(c.resource_policy, "resource"),
    permissionBoundaries: c.boundary ? [read(c.boundary, "boundary")] : undefined,
    vpcEndpointPolicies: undefined,
    simulationParameters: {
      simulationMode: "Strict",
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]),
    },
    serviceSettings: { s3: {} },
  }).result;
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(verdict(JSON.parse(line)));
  } catch (error) {
    console.log(`error ${String(error).split("\n")[0]}`);
  }
}
