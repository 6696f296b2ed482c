// Generated from the procedures' declarations by `slipway bindings`. Changes made here are lost.

/**
 * An error, as every procedure answers it.
 */
export type ApiError = { message: string;
/**
 * The JSON-RPC number of `data.code`.
 */
code: number; data: ApiErrorData }

/**
 * tRPC's names of errors.
 */
export type ApiErrorCode = "PARSE_ERROR" | "BAD_REQUEST" | "UNAUTHORIZED" | "PAYMENT_REQUIRED" | "FORBIDDEN" | "NOT_FOUND" | "METHOD_NOT_SUPPORTED" | "TIMEOUT" | "CONFLICT" | "PRECONDITION_FAILED" | "PAYLOAD_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "UNPROCESSABLE_CONTENT" | "PRECONDITION_REQUIRED" | "TOO_MANY_REQUESTS" | "CLIENT_CLOSED_REQUEST" | "INTERNAL_SERVER_ERROR" | "NOT_IMPLEMENTED" | "BAD_GATEWAY" | "SERVICE_UNAVAILABLE" | "GATEWAY_TIMEOUT"

/**
 * What programs decide by.
 */
export type ApiErrorData = { code: ApiErrorCode; httpStatus: number;
/**
 * The procedure.
 */
path?: string;
/**
 * The field of the input that is wrong, such as `steps[2].name`.
 */
field?: string;
/**
 * All that is wrong with the input.
 */
problems?: InputProblem[];
/**
 * What to look for in the server's log, after an internal error.
 */
requestId?: string }

/**
 * An entry of the audit trail.
 */
export type AuditEntry = {
/**
 * Later entries have greater ids.
 */
id: AuditId;
/**
 * When it was done.
 */
at: Timestamp;
/**
 * Who did it, or said to be so where nobody was signed in; null: nobody said.
 */
actor: string | null;
/**
 * By which token or session; null: by none, or by the admin token.
 */
tokenId: TokenId | null;
/**
 * From which address; null: from this machine's own programs, or not known.
 */
ip: string | null;
/**
 * Of the request, as answers and the server's log have it.
 */
requestId: string | null;
/**
 * What was done: `runs.cancel`, as procedures are named.
 */
action: string;
/**
 * A noun, such as `run`; null: it was done to nothing in particular.
 */
targetKind: string | null;
/**
 * Which one, by id or name; a pipeline's secret as `build/TOKEN`, the pipeline by id or name.
 */
targetId: string | null;
/**
 * How it went.
 */
outcome: AuditOutcome;
/**
 * What else there is to say, such as why it was refused.
 */
detail: string | null }

/**
 * Identifies an entry of the audit trail.
 */
export type AuditId = string & { readonly __brand?: "AuditId" }

/**
 * How it went.
 */
export type AuditOutcome =
/**
 * As it was asked for.
 */
"done" |
/**
 * They may not, or what they asked for breaks a rule.
 */
"refused" |
/**
 * Something of ours failed.
 */
"failed"

/**
 * What is done to each.
 */
export type BulkAction =
/**
 * Those that have not ended are canceled.
 */
"cancel" |
/**
 * Those that have ended are tried again from what failed, except canceled ones and those without a log.
 */
"retry" |
/**
 * Those that have ended are deleted.
 */
"delete"

/**
 * Which bulk work.
 */
export type BulkInput = {
/**
 * Its id.
 */
bulkId: BulkWorkId }

/**
 * Why a run is left out.
 */
export type BulkLeftOut =
/**
 * It has not ended.
 */
"live" |
/**
 * It has ended already.
 */
"ended" |
/**
 * Somebody has canceled it.
 */
"canceled" |
/**
 * Its log was purged.
 */
"no_log"

/**
 * How many runs are left out for one reason.
 */
export type BulkLeftOutCount = {
/**
 * Why.
 */
reason: BulkLeftOut;
/**
 * How many.
 */
count: number }

/**
 * What a bulk work would do.
 */
export type BulkPreview = {
/**
 * How many runs match to which the caller may do it: at most 10,000.
 */
total: number;
/**
 * More match: the newest 10,000 are taken, and the rest by another work.
 */
more: boolean;
/**
 * How many of them would be left out, as they stand now.
 */
skipped: number;
/**
 * Why they would be: the counts make up `skipped`.
 */
reasons: BulkLeftOutCount[];
/**
 * How many of the newest 10,000 that match the caller sees and may not do it to: beyond `total`.
 */
noRight: number;
/**
 * The newest of them.
 */
sample: Run[];
/**
 * Give it to `runs.startBulk`: runs that are triggered later are left alone.
 */
until: RunId }

/**
 * How far it is.
 */
export type BulkState = "running" |
/**
 * To be stopped: the runs at hand are finished first.
 */
"stopping" |
/**
 * All of its runs were looked at.
 */
"done" |
/**
 * Somebody stopped it, or who started it may no longer do it: `reason` says so.
 */
"stopped"

/**
 * Something that is done to many runs, one after the other.
 */
export type BulkWork = {
/**
 * Identifies it.
 */
id: BulkWorkId;
/**
 * What is done to each run.
 */
action: BulkAction;
/**
 * How far it is.
 */
state: BulkState;
/**
 * How many runs matched when it was started.
 */
total: number;
/**
 * To how many it was done.
 */
done: number;
/**
 * How many were left out: what they are does not allow it, or they are gone.
 */
skipped: number;
/**
 * Who started it.
 */
startedBy: string;
/**
 * When it was started.
 */
createdAt: Timestamp;
/**
 * When it was done, or stopped.
 */
finishedAt: Timestamp | null;
/**
 * Why it was stopped, or is being stopped; null: it was not.
 */
reason: string | null }

/**
 * Identifies something that is done to many runs.
 */
export type BulkWorkId = string & { readonly __brand?: "BulkWorkId" }

/**
 * The present password and the next.
 */
export type ChangePasswordInput = {
/**
 * The present one.
 */
present: string;
/**
 * The new one.
 */
new: string }

/**
 * How a part of the installation is.
 */
export type ComponentHealth = {
/**
 * Whether it answers.
 */
status: HealthStatus;
/**
 * What it is: `sqlite`, `postgres`, `redis 7.0.15`, `valkey 9.1.2`.
 */
kind: string;
/**
 * What is wrong, if it does not answer.
 */
error: string | null }

/**
 * A person to be given an account.
 */
export type CreatePersonInput = {
/**
 * What they sign in with, in whichever case: letters, digits, spaces and `. _ - /`.
 */
login: string;
/**
 * As people call them; the login if it is absent.
 */
name?: string | null;
/**
 * Where they are written to.
 */
email?: string | null;
/**
 * Without it, they cannot sign in with one.
 */
password?: string | null;
/**
 * Who they are at the provider of single sign-on: the claim `sub` of its tokens. Without it, they cannot sign in
 * there, unless they are given another account when they do.
 */
subject?: string | null;
/**
 * What they may do to everything; null or absent: nothing but what `grants` say.
 */
role?: Role | null;
/**
 * What they may do to single pipelines beyond that.
 */
grants?: Grant[] | null }

/**
 * A pipeline to be made.
 */
export type CreatePipelineInput = {
/**
 * Unique among the pipelines that are not deleted: letters, digits, spaces and `. _ - /`.
 */
name: string;
/**
 * What `git clone` takes; without it, steps run in an empty workspace.
 */
repository?: string | null;
/**
 * The branch of a run that names none.
 */
defaultBranch?: string | null;
/**
 * YAML; without it, `.slipway.yml` of the repository is used.
 */
definition?: string | null;
/**
 * For people: text with line breaks.
 */
description?: string | null;
/**
 * What is kept of its runs; without it, what the settings of the installation say.
 */
retention?: Retention | null }

/**
 * An access token to be made.
 */
export type CreateTokenInput = {
/**
 * Unique among those that are not revoked: letters, digits, spaces and `. _ - /`.
 */
name: string;
/**
 * What its bearer may do to everything; null or absent: nothing but what `grants` say.
 */
role?: Role | null;
/**
 * What its bearer may do to single pipelines beyond that.
 */
grants?: Grant[] | null;
/**
 * Without it, the token does not expire.
 */
expiresInDays?: number | null }

/**
 * An access token that has just been made.
 */
export type CreatedToken = {
/**
 * What is kept of it.
 */
token: Token;
/**
 * What programs send: `Authorization: Bearer <value>`.
 */
value: string }

/**
 * Which secret.
 */
export type DeleteSecretInput = {
/**
 * Its name.
 */
name: string;
/**
 * Whose it is, by id or name; without it, the global one.
 */
pipelineId?: PipelineId | null }

/**
 * That a pipeline is no more.
 */
export type DeletedPipeline = {
/**
 * Always true.
 */
deleted: boolean }

/**
 * That a run is no more.
 */
export type DeletedRun = {
/**
 * Always true.
 */
deleted: boolean }

/**
 * That a secret is no more.
 */
export type DeletedSecret = {
/**
 * Always true.
 */
deleted: boolean }

/**
 * That something was done.
 */
export type Done = {
/**
 * Always true.
 */
done: boolean }

/**
 * A role in one pipeline.
 */
export type Grant = {
/**
 * In which.
 */
pipelineId: PipelineId;
/**
 * What may be done there.
 */
role: Role }

/**
 * How the installation is.
 */
export type Health = {
/**
 * Of the whole: the worst of its parts that matter.
 */
status: HealthStatus;
/**
 * Of the server.
 */
version: string;
/**
 * Whole seconds since the server started.
 */
uptimeSeconds: number;
/**
 * Where runs are kept.
 */
database: ComponentHealth;
/**
 * Where jobs and live logs are.
 */
redis: ComponentHealth;
/**
 * What waits and what is being done.
 */
queue: QueueHealth;
/**
 * What is being streamed by the server that answers.
 */
streams: StreamsHealth;
/**
 * When a worker last asked the queue for work, and got an answer.
 */
lastFetchAt: Timestamp | null }

/**
 * Whether something works.
 */
export type HealthStatus = "ok" |
/**
 * Serves, but something is missing: runs may have to wait.
 */
"degraded" | "down"

/**
 * Who somebody is at a provider of single sign-on.
 */
export type Identity = {
/**
 * Which provider.
 */
issuer: string;
/**
 * What it knows them by, for ever.
 */
subject: string }

/**
 * What is wrong with one field of an input.
 */
export type InputProblem = {
/**
 * Where: a path such as `steps[2].name`; empty for the input as a whole.
 */
field: string;
/**
 * The same as a JSON pointer, such as `/steps/2/name`.
 */
pointer: string;
/**
 * What is wrong there, as the rest of a sentence about the field.
 */
message: string }

/**
 * `<epoch>-<n>`: what a client resumes by. Only `n` counts.
 */
export type LineId = string & { readonly __brand?: "LineId" }

/**
 * Which entries, and which part of their list.
 */
export type ListAuditInput = {
/**
 * Only what was done by somebody of this name.
 */
actor?: string | null;
/**
 * Only this, such as `runs.cancel`.
 */
action?: string | null;
/**
 * Only what was done to the thing with this id, or name where it has no other.
 */
target?: string | null;
/**
 * Only what went so.
 */
outcome?: AuditOutcome | null;
/**
 * Only from then on, such as `2026-11-25T12:00:00Z`.
 */
since?: Timestamp | null;
/**
 * Only before then.
 */
until?: Timestamp | null;
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null }

/**
 * Lists are to be read again. What has changed is not said: who may see it, reads it.
 */
export type ListChange = {
/**
 * When it was noticed.
 */
at: Timestamp }

/**
 * Which part of the list.
 */
export type ListPeopleInput = {
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null;
/**
 * Part of the login, in upper or lower case.
 */
search?: string | null }

/**
 * Which pipelines, and which part of their list.
 */
export type ListPipelinesInput = {
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null;
/**
 * Part of the name, in upper or lower case.
 */
search?: string | null }

/**
 * Which runs, and which part of their list.
 */
export type ListRunsInput = {
/**
 * Only of this pipeline: its id or name.
 */
pipelineId?: PipelineId | null;
/**
 * Only those that stand there.
 */
status?: RunStatus | null;
/**
 * Only of this branch.
 */
branch?: string | null;
/**
 * Only those that were triggered by somebody of this name: a run's `trigger.by`.
 */
by?: string | null;
/**
 * Only those that were triggered from then on, such as `2026-11-25T12:00:00Z`.
 */
since?: Timestamp | null;
/**
 * Only those that were triggered before then.
 */
until?: Timestamp | null;
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null }

/**
 * Which part of which list.
 */
export type ListSecretsInput = {
/**
 * Whose, by id or name; without it, the global ones.
 */
pipelineId?: PipelineId | null;
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null }

/**
 * Which part of the list.
 */
export type ListTokensInput = {
/**
 * `nextCursor` of the page before.
 */
cursor?: string | null;
/**
 * 20 if it is absent.
 */
limit?: number | null }

/**
 * One line of a run's log.
 */
export type LogLine = {
/**
 * `<epoch>-<n>`: what a client resumes by. Only `n` counts; the epoch may differ after a restart.
 */
id: LineId;
/**
 * The line's number in its run, from 1, rising by one from line to line. Below 2^53.
 */
n: number;
/**
 * When it was read from the step, by the clock of the machine that ran it.
 */
timestamp: Timestamp;
/**
 * The step that printed it, or that it is about; null for the run as a whole.
 */
step: string | null;
/**
 * The step's attempt, from 1; 0 for lines about the run.
 */
attempt: number;
/**
 * Where it comes from.
 */
stream: LogStream;
/**
 * Its text, without the line's end.
 */
message: string;
/**
 * The line was not finished when it was stored: the next entry of the same stream goes on with it.
 */
partial?: boolean;
/**
 * Goes on with the entry before it of the same stream.
 */
continued?: boolean }

/**
 * Part of a log.
 */
export type LogPage = {
/**
 * The lines, in order.
 */
items: LogLine[];
/**
 * How many lines the log has at present. Below 2^53.
 */
total: number;
/**
 * Give it as `from` for what follows; null where nothing follows at present.
 */
nextFrom: number | null }

/**
 * What has been found so far.
 */
export type LogSearch = {
/**
 * How many lines match. Below 2^53.
 */
count: number;
/**
 * The numbers of the first of them, in order: at most 1,000. What follows is found with `after`.
 */
hits: number[];
/**
 * How many match in each of 512 equal parts of the log's lines.
 */
marks: number[];
/**
 * Lines up to this number were looked at.
 */
searched: number;
/**
 * How many lines the log had when the search began: it looks no further.
 */
total: number;
/**
 * Nothing is left to look at.
 */
done: boolean }

/**
 * Where a line comes from.
 */
export type LogStream = "stdout" | "stderr" |
/**
 * Slipway's own words: what it did to the run, and why.
 */
"system"

/**
 * Who asks.
 */
export type Me = {
/**
 * Stands as the author of what they do.
 */
name: string;
/**
 * What they may do to everything; null: nothing but what `grants` say.
 */
role: Role | null;
/**
 * What they may do to single pipelines beyond that.
 */
grants: Grant[];
/**
 * Their account; null: none is behind this access.
 */
personId: PersonId | null;
/**
 * Whether they can sign in with a password, and so change it.
 */
hasPassword: boolean }

/**
 * Part of a list.
 */
export type Page<T> = {
/**
 * In the order of the list.
 */
items: T[];
/**
 * Give it as `cursor` for what follows; null at the end.
 */
nextCursor: string | null }

/**
 * A share of the work, in whole percent: 0 to 100.
 */
export type Percent = number

/**
 * Somebody who has an account.
 */
export type Person = {
/**
 * Identifies them, since logins can be used again.
 */
id: PersonId;
/**
 * What they sign in with; stands as the author of what they do. In lower case.
 */
login: string;
/**
 * As people call them.
 */
name: string;
/**
 * Where they are written to; nothing is decided by it.
 */
email: string | null;
/**
 * What they may do to everything; null: nothing but what `grants` say.
 */
role: Role | null;
/**
 * What they may do to single pipelines beyond that.
 */
grants: Grant[];
/**
 * Who is disabled cannot sign in, and neither their sessions nor their tokens open anything.
 */
disabled: boolean;
/**
 * Whether they can sign in with a password.
 */
hasPassword: boolean;
/**
 * By whom they are known who sign in elsewhere; null: they do not.
 */
identity: Identity | null;
/**
 * When the account was made.
 */
createdAt: Timestamp;
/**
 * When they last signed in.
 */
signedInAt: Timestamp | null }

/**
 * Identifies a person who has an account.
 */
export type PersonId = string & { readonly __brand?: "PersonId" }

/**
 * Which person.
 */
export type PersonInput = {
/**
 * Their id or login.
 */
person: string }

/**
 * A pipeline, as everywhere it is given.
 */
export type Pipeline = {
/**
 * Stays the same when the name changes.
 */
id: PipelineId;
/**
 * Unique among the pipelines that are not deleted.
 */
name: string;
/**
 * For people.
 */
description: string | null;
/**
 * What `git clone` takes; without it, steps run in an empty workspace.
 */
repository: string | null;
/**
 * The branch of a run that names none.
 */
defaultBranch: string | null;
/**
 * YAML; without it, `.slipway.yml` of the repository is used.
 */
definition: string | null;
/**
 * What is kept of its runs; null: what the settings of the installation say.
 */
retention: Retention | null;
/**
 * When it was made.
 */
createdAt: Timestamp;
/**
 * When it was changed last.
 */
updatedAt: Timestamp }

/**
 * Identifies a pipeline, for ever.
 */
export type PipelineId = string & { readonly __brand?: "PipelineId" }

/**
 * Which pipeline.
 */
export type PipelineInput = {
/**
 * Its id or name.
 */
pipelineId: PipelineId }

/**
 * How one pipeline has fared lately: of its newest runs, as many as were asked for.
 */
export type PipelineStats = {
/**
 * Which.
 */
pipelineId: PipelineId;
/**
 * Newest first.
 */
runs: RunSummary[];
/**
 * Of those that have ended and were not canceled, the share that succeeded: 0 to 1; null where there is none.
 */
successRate: number | null;
/**
 * Of those that succeeded, in whole milliseconds; null where there is none.
 */
medianDurationMs: number | null }

/**
 * Whose runs, and how many of each.
 */
export type PipelineStatsInput = {
/**
 * Their ids. Those that there are not, and those that the caller does not see, are left out of the answer.
 */
pipelineIds: PipelineId[];
/**
 * The newest runs of each; 20 if it is absent.
 */
runs?: number | null }

/**
 * How pipelines have fared lately.
 */
export type PipelinesStats = {
/**
 * In the order in which they were asked for.
 */
items: PipelineStats[] }

/**
 * A step as a definition has it.
 */
export type PlannedStep = {
/**
 * Unique in its definition.
 */
name: string;
/**
 * The steps that have to end before it starts.
 */
needs: string[];
/**
 * How these have to end.
 */
when: When;
/**
 * Where its name stands, from 1.
 */
line: number }

/**
 * What would be done, to which runs.
 */
export type PreviewBulkInput = {
/**
 * What is done to each.
 */
action: BulkAction;
/**
 * Only runs of this pipeline: its id or name.
 */
pipelineId?: PipelineId | null;
/**
 * Only those that stand there.
 */
status?: RunStatus | null;
/**
 * Only of this branch.
 */
branch?: string | null;
/**
 * Only those that were triggered by somebody of this name: a run's `trigger.by`.
 */
by?: string | null;
/**
 * Only those that were triggered from then on, such as `2026-11-25T12:00:00Z`.
 */
since?: Timestamp | null;
/**
 * Only those that were triggered before then.
 */
until?: Timestamp | null }

/**
 * What is wrong with a definition, and where.
 */
export type Problem = {
/**
 * From 1.
 */
line: number;
/**
 * From 1, in characters.
 */
column: number;
/**
 * A path such as `steps[2].timeout`.
 */
path: string;
/**
 * What is wrong there.
 */
message: string;
/**
 * What would have been right there.
 */
expected: string }

/**
 * The queue in numbers.
 */
export type QueueHealth = {
/**
 * Jobs that no worker has taken yet.
 */
waiting: number;
/**
 * Jobs that a worker has.
 */
active: number;
/**
 * Jobs that wait for their time.
 */
delayed: number;
/**
 * Jobs that failed and are kept to be looked at.
 */
failed: number;
/**
 * Worker processes seen in the last 30 seconds.
 */
workers: number }

/**
 * How busy the queue of runs was.
 */
export type QueueHistory = {
/**
 * Oldest first. A minute in which Slipway, its database or its Redis was away is missing.
 */
points: QueuePoint[] }

/**
 * How far back.
 */
export type QueueHistoryInput = {
/**
 * The last minutes that are over; 180 if it is absent.
 */
minutes?: number | null }

/**
 * A minute of the queue.
 */
export type QueuePoint = {
/**
 * When the minute began.
 */
at: Timestamp;
/**
 * Jobs that no worker had taken, at its end.
 */
waiting: number;
/**
 * Jobs that a worker had, at its end.
 */
active: number;
/**
 * Jobs that waited for their time, at its end.
 */
delayed: number;
/**
 * Runs that were triggered in it.
 */
added: number;
/**
 * Runs that succeeded in it.
 */
completed: number;
/**
 * Runs that failed or timed out in it.
 */
failed: number;
/**
 * Runs that were canceled in it.
 */
canceled: number;
/**
 * Half of the runs that ended in it took no longer, in whole milliseconds from their start.
 */
durationP50Ms: number | null;
/**
 * 95 of 100 of them took no longer.
 */
durationP95Ms: number | null }

/**
 * The queue of runs at a moment.
 */
export type QueueState = {
/**
 * Jobs that no worker has taken yet.
 */
waiting: number;
/**
 * Jobs that a worker has.
 */
active: number;
/**
 * Jobs that wait for their time.
 */
delayed: number;
/**
 * Jobs that completed and are kept to be looked at.
 */
completed: number;
/**
 * Jobs that failed and are kept to be looked at.
 */
failed: number;
/**
 * Worker processes seen in the last 30 seconds.
 */
workers: number;
/**
 * When the job that is taken next was added; null where none waits.
 */
oldestWaitingAt: Timestamp | null;
/**
 * No job is taken until an operator resumes the queue.
 */
isPaused: boolean;
/**
 * When the last minute that `system.queueHistory` tells of was over; null where it tells of none.
 */
historyUntil: Timestamp | null }

/**
 * Rules of one pipeline. Those that are null are as the settings of the installation have them.
 */
export type Retention = {
/**
 * Runs that ended so long ago are deleted with their logs: `90d`, `12h`, or `forever` to keep them.
 */
runs?: string | null;
/**
 * Logs of runs that ended so long ago are purged: `30d`, or `forever` to keep them as long as their runs.
 */
logs?: string | null;
/**
 * Of the runs that have ended, so many of the newest stay; the others are deleted with their logs.
 */
keepRuns?: number | null }

/**
 * The rules that the settings have. Those of a pipeline go before them, one by one.
 */
export type RetentionDefaults = {
/**
 * Runs that ended so long ago are deleted with their logs, such as `90d`; null: runs are kept, however old.
 */
runs: string | null;
/**
 * Logs of runs that ended so long ago are purged, such as `30d`; null: they are kept as long as their runs.
 */
logs: string | null;
/**
 * Of the runs that have ended, so many of the newest stay; null: however many.
 */
keepRuns: number | null;
/**
 * The last so many runs of each pipeline are kept with their logs, however old they are.
 */
runsMin: number }

/**
 * Where a retry begins.
 */
export type RetryFrom =
/**
 * With a new workspace, from the first step.
 */
"start" |
/**
 * With the steps that did not succeed.
 */
"failed"

/**
 * Which run, and from where.
 */
export type RetryRunInput = {
/**
 * Its id.
 */
runId: RunId;
/**
 * `failed` if it is absent.
 */
from?: RetryFrom | null }

/**
 * Which session.
 */
export type RevokeSessionInput = {
/**
 * Its id.
 */
session: string }

/**
 * Which access token.
 */
export type RevokeTokenInput = {
/**
 * Its id or name.
 */
token: string }

/**
 * That an access token is no more.
 */
export type RevokedToken = {
/**
 * Always true.
 */
revoked: boolean }

/**
 * What a caller may do; each role may also do what those before it may.
 */
export type Role =
/**
 * Read everything.
 */
"viewer" |
/**
 * Trigger, cancel and retry runs.
 */
"operator" |
/**
 * Change pipelines and tokens.
 */
"admin"

/**
 * A run, as everywhere it is given.
 */
export type Run = {
/**
 * Identifies it everywhere.
 */
id: RunId;
/**
 * Its number in its pipeline, from 1.
 */
number: number;
/**
 * What it is a run of.
 */
pipelineId: PipelineId;
/**
 * The name that the pipeline has now, or had last.
 */
pipelineName: string;
/**
 * Where it stands.
 */
status: RunStatus;
/**
 * Never falls within an attempt, and is 100 only at the end.
 */
progress: Percent;
/**
 * Counts from 1; rises with each automatic or asked-for retry.
 */
attempt: number;
/**
 * How many attempts it gets before it counts as failed.
 */
attemptsMax: number;
/**
 * What it was triggered for; null where the pipeline names none either.
 */
branch: string | null;
/**
 * The commit that the branch stood at, once it is known.
 */
commit: string | null;
/**
 * What it was triggered with; steps see them as `SLIPWAY_INPUT_<NAME>`.
 */
inputs: Partial<{ [key in string]: string }>;
/**
 * What made it begin.
 */
trigger: RunTrigger;
/**
 * Why it stands where it stands, where that is not plain: what it waits for, who canceled it. What it waits for is
 * found out when it is asked for, and changes without a new version.
 */
reason: string | null;
/**
 * What went wrong, of a run that failed or timed out.
 */
error: string | null;
/**
 * Rises with each change. Below 2^53.
 */
version: number;
/**
 * How many lines its log has. Below 2^53.
 */
lines: number;
/**
 * When its last line came: a step that hangs looks different from a quiet one.
 */
lastLineAt: Timestamp | null;
/**
 * When it is tried again, between two automatic attempts.
 */
nextAttemptAt: Timestamp | null;
/**
 * When it was triggered.
 */
createdAt: Timestamp;
/**
 * When a worker took it up first.
 */
startedAt: Timestamp | null;
/**
 * When it ended; null while an attempt may follow by itself.
 */
finishedAt: Timestamp | null;
/**
 * When its log was purged: there is none any more, and the run cannot be tried again.
 */
logPurgedAt: Timestamp | null;
/**
 * Who had its log purged; `retention` for the rule.
 */
logPurgedBy: string | null }

/**
 * A run with its steps.
 */
export type RunDetails = ({
/**
 * Identifies it everywhere.
 */
id: RunId;
/**
 * Its number in its pipeline, from 1.
 */
number: number;
/**
 * What it is a run of.
 */
pipelineId: PipelineId;
/**
 * The name that the pipeline has now, or had last.
 */
pipelineName: string;
/**
 * Where it stands.
 */
status: RunStatus;
/**
 * Never falls within an attempt, and is 100 only at the end.
 */
progress: Percent;
/**
 * Counts from 1; rises with each automatic or asked-for retry.
 */
attempt: number;
/**
 * How many attempts it gets before it counts as failed.
 */
attemptsMax: number;
/**
 * What it was triggered for; null where the pipeline names none either.
 */
branch: string | null;
/**
 * The commit that the branch stood at, once it is known.
 */
commit: string | null;
/**
 * What it was triggered with; steps see them as `SLIPWAY_INPUT_<NAME>`.
 */
inputs: Partial<{ [key in string]: string }>;
/**
 * What made it begin.
 */
trigger: RunTrigger;
/**
 * Why it stands where it stands, where that is not plain: what it waits for, who canceled it. What it waits for is
 * found out when it is asked for, and changes without a new version.
 */
reason: string | null;
/**
 * What went wrong, of a run that failed or timed out.
 */
error: string | null;
/**
 * Rises with each change. Below 2^53.
 */
version: number;
/**
 * How many lines its log has. Below 2^53.
 */
lines: number;
/**
 * When its last line came: a step that hangs looks different from a quiet one.
 */
lastLineAt: Timestamp | null;
/**
 * When it is tried again, between two automatic attempts.
 */
nextAttemptAt: Timestamp | null;
/**
 * When it was triggered.
 */
createdAt: Timestamp;
/**
 * When a worker took it up first.
 */
startedAt: Timestamp | null;
/**
 * When it ended; null while an attempt may follow by itself.
 */
finishedAt: Timestamp | null;
/**
 * When its log was purged: there is none any more, and the run cannot be tried again.
 */
logPurgedAt: Timestamp | null;
/**
 * Who had its log purged; `retention` for the rule.
 */
logPurgedBy: string | null }) & {
/**
 * The latest attempt of each, in the order of the definition.
 */
steps: Step[];
/**
 * Earlier attempts of its steps, oldest first.
 */
earlierSteps: Step[] }

/**
 * Identifies a run.
 */
export type RunId = string & { readonly __brand?: "RunId" }

/**
 * Which run.
 */
export type RunInput = {
/**
 * Its id.
 */
runId: RunId }

/**
 * Which lines.
 */
export type RunLogsInput = {
/**
 * Its id.
 */
runId: RunId;
/**
 * The number of the first line; negative: counted from the end, -1 being the last. The first line if it is
 * absent.
 */
from?: number | null;
/**
 * Begin behind the line with this number, where `from` is absent.
 */
after?: number | null;
/**
 * How many lines. A page has 100 if it is absent; a whole log, as text or a line a line, has no bound then.
 */
limit?: number | null;
/**
 * Only lines of this step.
 */
step?: string | null }

/**
 * Which run of which pipeline.
 */
export type RunNumberInput = {
/**
 * The pipeline's id or name. The runs of a deleted one are found by its id.
 */
pipelineId: PipelineId;
/**
 * The run's number in it, from 1.
 */
number: number }

/**
 * What `watchRun` sends: the state of a run at a version.
 */
export type RunState = {
/**
 * Of which run.
 */
runId: RunId;
/**
 * Its number in its pipeline.
 */
number: number;
/**
 * Where it stands.
 */
status: RunStatus;
/**
 * Never falls within an attempt, and is 100 only at the end.
 */
progress: Percent;
/**
 * Counts from 1.
 */
attempt: number;
/**
 * Rises with each change. Below 2^53.
 */
version: number;
/**
 * How many lines its log has. Below 2^53.
 */
lines: number;
/**
 * When its last line came.
 */
lastLineAt: Timestamp | null;
/**
 * When it is tried again, between two automatic attempts.
 */
nextAttemptAt: Timestamp | null;
/**
 * The commit that the branch stood at, once it is known.
 */
commit: string | null;
/**
 * Why it stands where it stands, where that is not plain. What it waits for changes without a new version: a state is
 * then sent again with another reason.
 */
reason: string | null;
/**
 * What went wrong, of a run that failed or timed out.
 */
error: string | null;
/**
 * When a worker took it up first.
 */
startedAt: Timestamp | null;
/**
 * When it ended.
 */
finishedAt: Timestamp | null;
/**
 * The latest attempt of each step.
 */
steps: Step[] }

/**
 * Where a run stands.
 */
export type RunStatus =
/**
 * In the queue, or about to be tried again (`nextAttemptAt`).
 */
"queued" |
/**
 * Waits for something other than a worker; `reason` says for what.
 */
"waiting" | "running" |
/**
 * To be canceled; its processes are being ended.
 */
"canceling" | "succeeded" | "failed" | "canceled" | "timed_out"

/**
 * A run as a mark in a row of them.
 */
export type RunSummary = {
/**
 * Identifies it everywhere.
 */
id: RunId;
/**
 * Its number in its pipeline, from 1.
 */
number: number;
/**
 * Where it stands.
 */
status: RunStatus;
/**
 * What it was triggered for; null where the pipeline names none either.
 */
branch: string | null;
/**
 * Who asked for it: the name of a token, or what stands in for a person.
 */
triggeredBy: string;
/**
 * When it was triggered.
 */
createdAt: Timestamp;
/**
 * When a worker took it up first.
 */
startedAt: Timestamp | null;
/**
 * When it ended.
 */
finishedAt: Timestamp | null;
/**
 * From its start to its end, all attempts and the time between them included, in whole milliseconds.
 */
durationMs: number | null }

/**
 * What made a run begin.
 */
export type RunTrigger = {
/**
 * By which way it came.
 */
kind: TriggerKind;
/**
 * Who asked for it: the name of a token, or what stands in for a person.
 */
by: string;
/**
 * Nobody here vouches for the code, such as that of a fork: secrets are withheld unless they allow it.
 */
untrusted?: boolean }

/**
 * What is searched for, and where.
 */
export type SearchLogsInput = {
/**
 * Its id.
 */
runId: RunId;
/**
 * What matching lines contain.
 */
text: string;
/**
 * `text` is a regular expression, in the syntax of Rust's `regex`.
 */
regex?: boolean | null;
/**
 * Capital and small letters are not the same.
 */
matchCase?: boolean | null;
/**
 * Only lines of this step.
 */
step?: string | null;
/**
 * Only lines behind the one with this number.
 */
after?: number | null }

/**
 * A stored secret, without its value: that is never given out.
 */
export type SecretInfo = {
/**
 * Unique in its pipeline, or among the global ones.
 */
name: string;
/**
 * Whose it is; null: every pipeline's that has none of this name.
 */
pipelineId: PipelineId | null;
/**
 * For people.
 */
description: string | null;
/**
 * Patterns of the branches whose runs are given it, such as `main` and `release/*`; none: all.
 */
branches: string[];
/**
 * Whether runs of code that nobody here has vouched for are given it too.
 */
allowUntrusted: boolean;
/**
 * Rises with each change. Below 2^53.
 */
version: number;
/**
 * When it was made.
 */
createdAt: Timestamp;
/**
 * By whom.
 */
createdBy: string;
/**
 * When it was changed last.
 */
updatedAt: Timestamp;
/**
 * By whom.
 */
updatedBy: string;
/**
 * When a step was given it last, to within a minute.
 */
lastUsedAt: Timestamp | null }

/**
 * A value on its way in: nothing shows it, and its bounds are checked where no complaint repeats it.
 */
export type SecretValue = string

/**
 * A signed-in browser.
 */
export type Session = {
/**
 * Identifies it.
 */
id: TokenId;
/**
 * What the browser says that it is, shortened.
 */
device: string | null;
/**
 * From where it signed in.
 */
ip: string | null;
/**
 * When it signed in.
 */
createdAt: Timestamp;
/**
 * When it must sign in anew at the latest.
 */
expiresAt: Timestamp | null;
/**
 * When it was used last, to within a few minutes.
 */
lastUsedAt: Timestamp | null;
/**
 * Whether it is the one that asks.
 */
current: boolean }

/**
 * The browsers in which somebody is signed in.
 */
export type Sessions = {
/**
 * Newest first.
 */
items: Session[] }

/**
 * Whose password, and which.
 */
export type SetPasswordInput = {
/**
 * Their id or login.
 */
person: string;
/**
 * The new one.
 */
password: string }

/**
 * A secret to be stored.
 */
export type SetSecretInput = {
/**
 * Capital letters, digits and `_`, not beginning with a digit or `SLIPWAY_`.
 */
name: string;
/**
 * Whose it is, by id or name; without it, it is global.
 */
pipelineId?: PipelineId | null;
/**
 * 6 to 16,384 characters, without NUL; line ends at its end do not count.
 */
value: SecretValue;
/**
 * For people: text with line breaks.
 */
description?: string | null;
/**
 * Patterns of the branches whose runs are given it, such as `main` and `release/*`; none: all.
 */
branches?: string[] | null;
/**
 * Whether untrusted runs are given it too.
 */
allowUntrusted?: boolean | null }

/**
 * How a browser can be signed in.
 */
export type SignInWays = {
/**
 * By `POST /sign-in`.
 */
password: boolean;
/**
 * By single sign-on; null: none is set up.
 */
oidc: SingleSignOn | null }

/**
 * A provider of single sign-on.
 */
export type SingleSignOn = {
/**
 * As people call it.
 */
name: string;
/**
 * Where it begins: a path, to which `?next=` and a path may be added, where to go afterwards.
 */
link: string;
/**
 * Where a browser goes after `auth.signOut`, a path: who came in by the provider is signed out there too, and all end
 * at the sign-in page. Null: to sign out here is all.
 */
signOutLink: string | null }

/**
 * What is done, to which runs.
 */
export type StartBulkInput = {
/**
 * What is done to each.
 */
action: BulkAction;
/**
 * Only runs of this pipeline: its id or name.
 */
pipelineId?: PipelineId | null;
/**
 * Only those that stand there.
 */
status?: RunStatus | null;
/**
 * Only of this branch.
 */
branch?: string | null;
/**
 * Only those that were triggered by somebody of this name: a run's `trigger.by`.
 */
by?: string | null;
/**
 * Only those that were triggered from then on, such as `2026-11-25T12:00:00Z`.
 */
since?: Timestamp | null;
/**
 * What the preview gave: runs that are newer are left alone, as are those that its own `until` left out.
 */
until: RunId }

/**
 * A step of a run: its latest attempt.
 */
export type Step = {
/**
 * Unique in its definition.
 */
name: string;
/**
 * Where it stands.
 */
status: StepStatus;
/**
 * The exit code of its command; 128 and the signal's number if a signal ended it.
 */
exitCode: number | null;
/**
 * What went wrong, or why it was skipped.
 */
reason: string | null;
/**
 * Counts from 1, over all attempts of the run; a step that is `pending` has yet to begin it.
 */
attempt: number;
/**
 * Names of the steps that come before it.
 */
needs: string[];
/**
 * When this attempt began.
 */
startedAt: Timestamp | null;
/**
 * When this attempt ended.
 */
finishedAt: Timestamp | null;
/**
 * The number of its first line in the run's log. Below 2^53.
 */
firstLine: number | null;
/**
 * The number of its last line so far. Below 2^53.
 */
lastLine: number | null;
/**
 * The number of its first line that reads like an error, told once it has ended; null where none does. Below 2^53.
 */
firstErrorLine: number | null }

/**
 * Where a step stands.
 */
export type StepStatus =
/**
 * Has not begun.
 */
"pending" | "running" | "succeeded" | "failed" | "canceled" | "timed_out" |
/**
 * Was not run, since what it needs or its `when` did not hold.
 */
"skipped" |
/**
 * Its supervisor was gone before it ended; a further attempt follows.
 */
"lost"

/**
 * Whose log, and from where.
 */
export type StreamLogsInput = {
/**
 * Its id.
 */
runId: RunId;
/**
 * Begin behind the line with this number; -1: with the lines that are still to come. The first line if it is
 * absent.
 */
after?: number | null;
/**
 * The `id` of the last line that was received, or its number alone. It goes before `after`.
 */
lastEventId?: string | null }

/**
 * A ticket that opens one subscription.
 */
export type StreamTicket = {
/**
 * Sent as `{ ticket }` in tRPC's `connectionParams`.
 */
ticket: string;
/**
 * Until when it must first be used.
 */
expiresAt: Timestamp }

/**
 * What a ticket is to open.
 */
export type StreamTicketInput = {
/**
 * The subscription, such as `pipelines.streamLogs`.
 */
path: Subscription;
/**
 * Its input, which the ticket is good for and no other. `lastEventId` does not count.
 */
input?: unknown | null }

/**
 * The streams of one server in numbers. All are 0 once nobody follows anything.
 */
export type StreamsHealth = {
/**
 * Subscriptions that are open.
 */
open: number;
/**
 * Logs that are followed, by however many.
 */
logs: number;
/**
 * Runs that are watched, by however many.
 */
runs: number }

/**
 * The name of a subscription.
 */
export type Subscription = "pipelines.streamLogs" | "pipelines.watchRun" | "runs.searchLogs" | "runs.watchBulk" | "runs.watchList" | "system.watchQueue"

/**
 * An instant, as RFC 3339 in UTC with milliseconds: `2026-11-23T23:20:00.123Z`.
 */
export type Timestamp = string & { readonly __brand?: "Timestamp" }

/**
 * An access token, without the token itself: only its hash is kept.
 */
export type Token = {
/**
 * Identifies it, since names can be used again.
 */
id: TokenId;
/**
 * Stands as the author of what is done with it.
 */
name: string;
/**
 * For a program or a browser.
 */
kind: TokenKind;
/**
 * What its bearer may do to everything; null: nothing but what `grants` say. Of a person's token never more than
 * they may themselves; a session is good for what its person may.
 */
role: Role | null;
/**
 * What its bearer may do to single pipelines beyond that.
 */
grants: Grant[];
/**
 * Whose it is, and with whose account it ends; null: nobody's.
 */
personId: PersonId | null;
/**
 * By whom it was made; null: not known.
 */
createdBy: string | null;
/**
 * When it was made.
 */
createdAt: Timestamp;
/**
 * From when on it opens nothing; null: never.
 */
expiresAt: Timestamp | null;
/**
 * When it was used last, to within a few minutes.
 */
lastUsedAt: Timestamp | null }

/**
 * Identifies an access token or a signed-in session.
 */
export type TokenId = string & { readonly __brand?: "TokenId" }

/**
 * What a token is for.
 */
export type TokenKind =
/**
 * For a program: `Authorization: Bearer …`.
 */
"api" |
/**
 * A signed-in browser: a cookie.
 */
"session"

/**
 * What to run.
 */
export type TriggerInput = {
/**
 * Its id or name.
 */
pipelineId: PipelineId;
/**
 * The pipeline's default branch if it is absent.
 */
branch?: string | null;
/**
 * Given to steps as `SLIPWAY_INPUT_<NAME>`. Names are letters, digits and `_`, and differ not in case alone:
 * that is refused.
 */
inputs?: Partial<{ [key in string]: string }> | null;
/**
 * Two triggers of a pipeline with the same key make one run. Visible ASCII characters.
 */
idempotencyKey?: string | null }

/**
 * By which way a run was triggered.
 */
export type TriggerKind =
/**
 * `pipelines.trigger`, from whatever client.
 */
"api" |
/**
 * A job that another program put into the queue.
 */
"queue"

/**
 * What changes: an absent field is left as it is.
 */
export type UpdatePersonInput = {
/**
 * Their id or login.
 */
person: string;
/**
 * As people call them. Cannot be cleared: null leaves it as it is.
 */
name?: string | null;
/**
 * Null clears it.
 */
email?: string | null;
/**
 * Null takes their role in everything away.
 */
role?: Role | null;
/**
 * All that they are granted from now on. Null leaves it as it is.
 */
grants?: Grant[] | null;
/**
 * Null leaves it as it is.
 */
disabled?: boolean | null;
/**
 * Who they are at the provider of single sign-on: the claim `sub` of its tokens. Null: they do not sign in there.
 */
subject?: string | null }

/**
 * What changes: an absent field is left as it is, null clears it.
 */
export type UpdatePipelineInput = {
/**
 * Its id or name.
 */
pipelineId: PipelineId;
/**
 * Cannot be cleared: null leaves it as it is.
 */
name?: string | null;
/**
 * What `git clone` takes.
 */
repository?: string | null;
/**
 * The branch of a run that names none.
 */
defaultBranch?: string | null;
/**
 * YAML.
 */
definition?: string | null;
/**
 * For people: text with line breaks.
 */
description?: string | null;
/**
 * What is kept of its runs, all of it anew.
 */
retention?: Retention | null }

/**
 * A definition to be looked at.
 */
export type ValidateInput = {
/**
 * YAML, right or wrong.
 */
definition: string }

/**
 * What is wrong with a definition, or what it plans.
 */
export type Validation = {
/**
 * In the order of the text; empty: nothing is wrong.
 */
problems: Problem[];
/**
 * What would be run, in the order of the text; empty while something is wrong.
 */
steps: PlannedStep[] }

/**
 * Nothing.
 */
export type WatchListInput = Record<string, never>

/**
 * Which run, and which state of it is known.
 */
export type WatchRunInput = {
/**
 * Its id.
 */
runId: RunId;
/**
 * The `version` that was received last. A watcher is told the present state first, wherever it was, unless the
 * run has ended at this version.
 */
lastEventId?: string | null }

/**
 * Which end of what a step needs has it run.
 */
export type When =
/**
 * All that it needs has succeeded (and nothing that it needs was skipped).
 */
"success" |
/**
 * A step that it needs, or any step where it needs none, has failed.
 */
"failure" |
/**
 * Whatever happened, also after cancel and timeout.
 */
"always"

/** Every procedure. */
export type Procedures = {
  audit: {
    /**
     * Lists who did what, newest first. As lines over plain HTTP, all of it at once.
     *
     * Role: admin. REST: `GET /api/v1/audit`.
     */
    list: { kind: 'query'; input: ListAuditInput; output: Page<AuditEntry>; error: ApiError };
  };
  auth: {
    /**
     * Makes a ticket that opens one subscription, for a client that can send neither header nor cookie with it:
     * as `{ ticket }` in tRPC's `connectionParams`. It must be used within a minute; then it serves that
     * subscription, and its reconnects, until a minute after its last close.
     *
     * Role in the pipeline: viewer. REST: `POST /api/v1/auth/stream-tickets`.
     */
    streamTicket: { kind: 'mutation'; input: StreamTicketInput; output: StreamTicket; error: ApiError };
    /**
     * Tells which ways to sign in a browser there are.
     *
     * Public. REST: `GET /api/v1/auth/ways`.
     */
    ways: { kind: 'query'; input: null; output: SignInWays; error: ApiError };
    /**
     * Tells who asks, and what they may do.
     *
     * Whoever has signed in. REST: `GET /api/v1/auth/me`.
     */
    me: { kind: 'query'; input: null; output: Me; error: ApiError };
    /**
     * Ends the session, or the token, that asks.
     *
     * Whoever has signed in. REST: `POST /api/v1/auth/sign-out`.
     */
    signOut: { kind: 'mutation'; input: null; output: Done; error: ApiError };
    /**
     * Gives the caller a new password, and ends their other sessions.
     *
     * Whoever has signed in. REST: `PUT /api/v1/auth/password`.
     */
    changePassword: { kind: 'mutation'; input: ChangePasswordInput; output: Done; error: ApiError };
    /**
     * Lists the caller's signed-in browsers, newest first; a hundred at most.
     *
     * Whoever has signed in. REST: `GET /api/v1/auth/sessions`.
     */
    sessions: { kind: 'query'; input: null; output: Sessions; error: ApiError };
    /**
     * Ends one of the caller's sessions.
     *
     * Whoever has signed in. REST: `DELETE /api/v1/auth/sessions/{session}`.
     */
    revokeSession: { kind: 'mutation'; input: RevokeSessionInput; output: Done; error: ApiError };
    /**
     * Ends all sessions of the caller but the one that asks.
     *
     * Whoever has signed in. REST: `DELETE /api/v1/auth/sessions`.
     */
    revokeOtherSessions: { kind: 'mutation'; input: null; output: Done; error: ApiError };
  };
  people: {
    /**
     * Gives somebody an account.
     *
     * Role: admin. REST: `POST /api/v1/people`.
     */
    create: { kind: 'mutation'; input: CreatePersonInput; output: Person; error: ApiError };
    /**
     * Returns a person.
     *
     * Role: admin. REST: `GET /api/v1/people/{person}`.
     */
    get: { kind: 'query'; input: PersonInput; output: Person; error: ApiError };
    /**
     * Lists people by login.
     *
     * Role: admin. REST: `GET /api/v1/people`.
     */
    list: { kind: 'query'; input: ListPeopleInput; output: Page<Person>; error: ApiError };
    /**
     * Changes a person: it holds at once, also for their tokens. An absent field is left as it is. Who is disabled
     * is signed out everywhere.
     *
     * Role: admin. REST: `PATCH /api/v1/people/{person}`.
     */
    update: { kind: 'mutation'; input: UpdatePersonInput; output: Person; error: ApiError };
    /**
     * Deletes an account with its sessions and tokens.
     *
     * Role: admin. REST: `DELETE /api/v1/people/{person}`.
     */
    delete: { kind: 'mutation'; input: PersonInput; output: Done; error: ApiError };
    /**
     * Gives somebody a new password, and signs them out everywhere.
     *
     * Role: admin. REST: `PUT /api/v1/people/{person}/password`.
     */
    setPassword: { kind: 'mutation'; input: SetPasswordInput; output: Done; error: ApiError };
  };
  pipelines: {
    /**
     * Makes a pipeline.
     *
     * Role: admin. REST: `POST /api/v1/pipelines`.
     */
    create: { kind: 'mutation'; input: CreatePipelineInput; output: Pipeline; error: ApiError };
    /**
     * Changes a pipeline. An absent field is left as it is, null clears it.
     *
     * Role in the pipeline: admin. REST: `PATCH /api/v1/pipelines/{pipelineId}`.
     */
    update: { kind: 'mutation'; input: UpdatePipelineInput; output: Pipeline; error: ApiError };
    /**
     * Returns a pipeline.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/pipelines/{pipelineId}`.
     */
    get: { kind: 'query'; input: PipelineInput; output: Pipeline; error: ApiError };
    /**
     * Lists pipelines by name.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/pipelines`.
     */
    list: { kind: 'query'; input: ListPipelinesInput; output: Page<Pipeline>; error: ApiError };
    /**
     * Tells how pipelines have fared lately: their newest runs, how many of them succeeded, how long they took.
     *
     * Role in the pipeline: viewer. REST: `POST /api/v1/pipelines/stats`.
     */
    stats: { kind: 'query'; input: PipelineStatsInput; output: PipelinesStats; error: ApiError };
    /**
     * Deletes a pipeline that has no live runs. Its past runs stay.
     *
     * Role in the pipeline: admin. REST: `DELETE /api/v1/pipelines/{pipelineId}`.
     */
    delete: { kind: 'mutation'; input: PipelineInput; output: DeletedPipeline; error: ApiError };
    /**
     * Says all that is wrong with a definition, without storing it.
     *
     * Role in the pipeline: viewer. REST: `POST /api/v1/pipelines/validate`.
     */
    validate: { kind: 'query'; input: ValidateInput; output: Validation; error: ApiError };
    /**
     * Triggers a run. With an `idempotencyKey` that the pipeline has seen, returns the run that it made.
     *
     * Role in the pipeline: operator. REST: `POST /api/v1/pipelines/{pipelineId}/runs`.
     */
    trigger: { kind: 'mutation'; input: TriggerInput; output: Run; error: ApiError };
    /**
     * Streams a run's log: the lines that are there, then each new one, until the run has ended. Takes up
     * where it was cut off, without losing or repeating a line.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/{runId}/logs/stream`.
     */
    streamLogs: { kind: 'subscription'; input: StreamLogsInput; output: LogLine; error: ApiError };
    /**
     * Streams a run's state: the present one, then each change, until the run has ended.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/{runId}/watch`.
     */
    watchRun: { kind: 'subscription'; input: WatchRunInput; output: RunState; error: ApiError };
  };
  runs: {
    /**
     * Returns a run with its steps.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/{runId}`.
     */
    get: { kind: 'query'; input: RunInput; output: RunDetails; error: ApiError };
    /**
     * Returns a run with its steps, by its pipeline and its number there.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/pipelines/{pipelineId}/runs/{number}`.
     */
    getByNumber: { kind: 'query'; input: RunNumberInput; output: RunDetails; error: ApiError };
    /**
     * Lists runs, newest first.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs`.
     */
    list: { kind: 'query'; input: ListRunsInput; output: Page<Run>; error: ApiError };
    /**
     * Ends a run: at once where it is queued, otherwise as soon as its processes are gone. A run that has
     * ended is left as it is.
     *
     * Role in the pipeline: operator. REST: `POST /api/v1/runs/{runId}/cancel`.
     */
    cancel: { kind: 'mutation'; input: RunInput; output: Run; error: ApiError };
    /**
     * Tries a run that has ended once more, as a new attempt of the same run.
     *
     * Role in the pipeline: operator. REST: `POST /api/v1/runs/{runId}/retry`.
     */
    retry: { kind: 'mutation'; input: RetryRunInput; output: Run; error: ApiError };
    /**
     * Deletes a run that has ended, with its steps and its log. Its number is not given again.
     *
     * Role in the pipeline: admin. REST: `DELETE /api/v1/runs/{runId}`.
     */
    delete: { kind: 'mutation'; input: RunInput; output: DeletedRun; error: ApiError };
    /**
     * Removes the log of a run that has ended, for good. The run stays, says so, and is not tried again.
     *
     * Role in the pipeline: admin. REST: `DELETE /api/v1/runs/{runId}/logs`.
     */
    purgeLog: { kind: 'mutation'; input: RunInput; output: Run; error: ApiError };
    /**
     * Reads a run's log by line number, forwards or from its end.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/{runId}/logs`.
     */
    logs: { kind: 'query'; input: RunLogsInput; output: LogPage; error: ApiError };
    /**
     * Searches the whole log as it is at this moment, and streams what has been found so far until all of it has
     * been looked at. Lines are searched as a terminal shows them, without their colours.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/{runId}/logs/search`.
     */
    searchLogs: { kind: 'subscription'; input: SearchLogsInput; output: LogSearch; error: ApiError };
    /**
     * Says, at once and then whenever runs are made, change or are deleted, that lists of runs are to be read
     * again: at most once a second.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/runs/watch`.
     */
    watchList: { kind: 'subscription'; input: WatchListInput; output: ListChange; error: ApiError };
    /**
     * Says to how many runs something would be done, and does nothing.
     *
     * Role in the pipeline: operator. REST: `GET /api/v1/bulk/preview`.
     */
    previewBulk: { kind: 'query'; input: PreviewBulkInput; output: BulkPreview; error: ApiError };
    /**
     * Has something done to all runs that match and are older than the preview: at most 10,000, newest first.
     *
     * Role in the pipeline: operator. REST: `POST /api/v1/bulk`.
     */
    startBulk: { kind: 'mutation'; input: StartBulkInput; output: BulkWork; error: ApiError };
    /**
     * Returns how far a bulk work is, to who started it and to admins.
     *
     * Role in the pipeline: operator. REST: `GET /api/v1/bulk/{bulkId}`.
     */
    getBulk: { kind: 'query'; input: BulkInput; output: BulkWork; error: ApiError };
    /**
     * Stops a bulk work after the runs at hand. What is done stays done.
     *
     * Role in the pipeline: operator. REST: `POST /api/v1/bulk/{bulkId}/stop`.
     */
    stopBulk: { kind: 'mutation'; input: BulkInput; output: BulkWork; error: ApiError };
    /**
     * Streams how far a bulk work is, until it has ended.
     *
     * Role in the pipeline: operator. REST: `GET /api/v1/bulk/{bulkId}/watch`.
     */
    watchBulk: { kind: 'subscription'; input: BulkInput; output: BulkWork; error: ApiError };
  };
  secrets: {
    /**
     * Stores a secret, in place of any of its name. Its value is never given out again.
     *
     * Role in the pipeline: admin. REST: `POST /api/v1/secrets`.
     */
    set: { kind: 'mutation'; input: SetSecretInput; output: SecretInfo; error: ApiError };
    /**
     * Lists the secrets of a pipeline, or the global ones, without their values.
     *
     * Role in the pipeline: admin. REST: `GET /api/v1/secrets`.
     */
    list: { kind: 'query'; input: ListSecretsInput; output: Page<SecretInfo>; error: ApiError };
    /**
     * Deletes a secret. Steps that name it fail from then on.
     *
     * Role in the pipeline: admin. REST: `DELETE /api/v1/secrets/{name}`.
     */
    delete: { kind: 'mutation'; input: DeleteSecretInput; output: DeletedSecret; error: ApiError };
  };
  system: {
    /**
     * Tells how the installation is. Public, so it says nothing that is worth hiding.
     *
     * Public. REST: `GET /api/v1/health`.
     */
    health: { kind: 'query'; input: null; output: Health; error: ApiError };
    /**
     * Tells how busy the queue of runs was, minute by minute, for up to a day.
     *
     * Role: viewer. REST: `GET /api/v1/queue/history`.
     */
    queueHistory: { kind: 'query'; input: QueueHistoryInput; output: QueueHistory; error: ApiError };
    /**
     * Tells what the settings of the installation say of how long runs and logs are kept. The rules of a pipeline go
     * before them, one by one.
     *
     * Role in the pipeline: viewer. REST: `GET /api/v1/retention`.
     */
    retention: { kind: 'query'; input: null; output: RetentionDefaults; error: ApiError };
    /**
     * Streams the queue of runs in numbers: as they are, then each change, at most once a second. It does not end by
     * itself.
     *
     * Role: viewer. REST: `GET /api/v1/queue/watch`.
     */
    watchQueue: { kind: 'subscription'; input: null; output: QueueState; error: ApiError };
  };
  tokens: {
    /**
     * Makes an access token. Its value is given this once; only its hash is kept.
     *
     * Role: admin. REST: `POST /api/v1/tokens`.
     */
    create: { kind: 'mutation'; input: CreateTokenInput; output: CreatedToken; error: ApiError };
    /**
     * Lists access tokens, without their values.
     *
     * Role: admin. REST: `GET /api/v1/tokens`.
     */
    list: { kind: 'query'; input: ListTokensInput; output: Page<Token>; error: ApiError };
    /**
     * Ends an access token at once.
     *
     * Role: admin. REST: `DELETE /api/v1/tokens/{token}`.
     */
    revoke: { kind: 'mutation'; input: RevokeTokenInput; output: RevokedToken; error: ApiError };
  };
};
