// Reads a twin of Vercel with Vercel's own client, which holds each answer against its models.
// Arguments: the twin's address, project, team, hostname; the token stands in VERCEL_TOKEN.
// Prints what failed, by reading: {} if the client could read everything, {"aliases": "…"} otherwise.
import { Vercel } from "@vercel/sdk";

const [serverURL, idOrName, teamId, host] = process.argv.slice(2);
const vercel = new Vercel({ bearerToken: process.env.VERCEL_TOKEN, serverURL });

const serving = async () => (await vercel.aliases.getAlias({ idOrAlias: host, teamId })).deploymentId;
const idOrUrl = await serving();

const readings = {
  user: () => vercel.user.getAuthUser(),
  teams: () => vercel.teams.getTeams({}),
  projects: () => vercel.projects.getProjects({ teamId }),
  project: () => vercel.projects.getProject({ idOrName, teamId }),
  domains: () => vercel.projects.getProjectDomains({ idOrName, teamId }),
  environment: () => vercel.projects.filterProjectEnvs({ idOrName, teamId }),
  "rolling release": () => vercel.rollingRelease.getRollingRelease({ idOrName, teamId }),
  aliases: () => vercel.aliases.listAliases({ projectId: idOrName, teamId }),
  alias: () => vercel.aliases.getAlias({ idOrAlias: host, teamId }),
  DNS: () => vercel.domains.getDomainConfig({ domain: host, teamId }),
  deployments: () => vercel.deployments.getDeployments({ projectId: idOrName, teamId }),
  deployment: () => vercel.deployments.getDeployment({ idOrUrl, teamId }),
  "build log": () => vercel.deployments.getDeploymentEvents({ idOrUrl, teamId, direction: "forward", limit: -1 }),
  activity: () => vercel.user.listUserEvents({ projectIds: idOrName, teamId }),
  "moved hostnames": () => vercel.projects.listPromoteAliases({ projectId: idOrName, teamId }),
};

const failed = {};
for (const [name, read] of Object.entries(readings)) {
  try {
    await read();
  } catch (error) {
    failed[name] = String(error.pretty?.() ?? error.message ?? error).slice(0, 400);
  }
}
console.log(JSON.stringify(failed));
