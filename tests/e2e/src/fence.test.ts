// What a step can reach, seen from inside of it: its own, and nothing of the server's or of other runs.
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { printed } from './harness/client.js';
import { definition, script } from './harness/definition.js';
import { Installation } from './harness/installation.js';
import { processesThatAre, supervisorsIn } from './harness/processes.js';
import { finish, linesOf, runToEnd, trigger, unique, uniqueSeconds, waitFor, written } from './harness/runs.js';
import { until } from './harness/until.js';

const isRoot = process.getuid?.() === 0;
/** A user without a name, and without anything else on this machine. */
const STRANGER = 1_999_999_999;

/** Where root may make control groups that count memory and processes. */
const groups = isRoot ? [['/sys/fs/cgroup'], ['/sys/fs/cgroup/memory', '/sys/fs/cgroup/pids', '/sys/fs/cgroup/cpu']].find(isUsable) : undefined;

function isUsable(dirs: string[]): boolean {
  const text = (name: string) => (existsSync(name) ? readFileSync(name, 'utf8') : '');
  return dirs.every((dir) => {
    try {
      accessSync(dir, constants.W_OK);
    } catch {
      return false;
    }
    // The first version of the kernel's, or the second with both given on.
    const given = text(join(dir, 'cgroup.subtree_control')).trim().split(' ');
    return existsSync(join(dir, 'cgroup.clone_children')) || ['memory', 'pids'].every((name) => given.includes(name));
  });
}

const kinds: [string, boolean, { user?: number; env?: Record<string, string> }][] = [
  ['as it starts', isRoot, {}],
  ['that runs as an ordinary user', false, isRoot ? { user: STRANGER } : {}],
  // Without root it is the same as the one before.
  ['whose steps are to be its own user', false, { env: { SLIPWAY_EXECUTOR_USER: 'server' } }],
];

describe.each(kinds)('a server %s', (_, hasUsers, options) => {
  let slipway: Installation;
  beforeAll(async () => {
    slipway = await Installation.start(options);
  });
  afterAll(async () => await slipway?.stop());

  const file = (name: string) => join(slipway.files, name);
  /** What a script prints; it must succeed. */
  async function said(text: string): Promise<string[]> {
    const { state, lines } = await runToEnd(slipway.client, script(text));
    expect(state.status, JSON.stringify(lines)).toBe('succeeded');
    return printed(lines);
  }

  test('gives a step three descriptors, its environment and no privileges', async () => {
    const lines = await said(
      [
        'id -u; id -G; umask',
        "ls /proc/$$/fd > fds; sed 's/^/fd /' fds",
        'grep -E "^(NoNewPrivs|CapEff|CapPrm|CapAmb|SigBlk)" /proc/self/status',
        'echo "tty $(cut -d " " -f 7 /proc/$$/stat)"; echo "oom $(cat /proc/$$/oom_score_adj)"',
        'ulimit -c; env',
      ].join('\n'),
    );
    const [user, groups, mask] = lines;
    if (hasUsers) expect(Number(user)).toBeGreaterThan(2_000_000_000);
    expect(groups).toBe(user);
    expect(mask).toBe('0000');
    // The shell has its script open by another one, beyond those that a script can use.
    expect(lines.filter((line) => /^fd .$/.test(line))).toEqual(['fd 0', 'fd 1', 'fd 2']);
    expect(lines).toEqual(expect.arrayContaining(['NoNewPrivs:\t1', 'tty 0', 'oom 500', '0']));
    const isSameRoot = isRoot && user === '0';
    for (const set of isSameRoot ? ['SigBlk'] : ['CapEff', 'CapPrm', 'CapAmb', 'SigBlk']) {
      expect(lines).toContain(`${set}:\t0000000000000000`);
    }
    const names = lines.filter((line) => /^\w+=/.test(line)).map((line) => line.split('=')[0] ?? '');
    const known = /^(SLIPWAY_(RUN|STEP)(_\w+)?|PATH|HOME|USER|LOGNAME|LANG|TZ|TMPDIR|PWD|OLDPWD|SHLVL|_)$/;
    const plain = ['CI', 'PYTHONUNBUFFERED', 'PYTHONIOENCODING', 'DEBIAN_FRONTEND', 'GIT_TERMINAL_PROMPT', 'SHELL'];
    expect(names.filter((name) => !known.test(name) && !plain.includes(name))).toEqual([]);
  });

  test('shows a step none of its files, and none of another run', async () => {
    const gate = file(unique('gate'));
    const begun = file(unique('begun'));
    const other = await trigger(
      slipway.client,
      script(`echo secret > treasure; echo "$PWD" >> '${begun}'; ${waitFor(gate)}; cat treasure`),
    );
    await written(begun);
    const [workspace] = linesOf(begun);
    const lines = await said(
      [
        'echo "own $PWD"',
        `find '${slipway.dir}' -type f -size +0 ! -path '${slipway.files}/*' 2>/dev/null | sed 's/^/seen /' || :`,
        `umount '${slipway.dataDir}' 2>/dev/null && echo uncovered`,
        `cat '${workspace}/treasure' 2>/dev/null && echo stolen`,
        `echo x 2>/dev/null > '${workspace}/planted' && echo planted`,
        'true',
      ].join('\n'),
    );
    const own = (lines[0] ?? '').slice('own '.length).replace(/\/workspace$/, '');
    const seen = lines.filter((line) => line.startsWith('seen ')).map((line) => line.slice('seen '.length));
    expect(seen).toEqual([join(own, 'steps/0-1/script')]);
    expect(lines).not.toContain('secret');
    expect(lines).not.toContain('stolen');
    expect(lines).not.toContain('uncovered');
    expect(existsSync(`${workspace}/planted`)).toBe(false);
    await runToEnd(slipway.client, script(`touch '${gate}'`));
    const { state, lines: log } = await finish(slipway.client, other.id);
    expect(state.status).toBe('succeeded');
    expect(printed(log)).toEqual(['secret']);
  });

  test('lets a step reach no process but its own', async () => {
    const gate = file(unique('gate'));
    const begun = file(unique('begun'));
    const other = await trigger(slipway.client, script(`echo $$ >> '${begun}'; ${waitFor(gate)}; echo unharmed`));
    await written(begun);
    const supervisors = supervisorsIn(slipway.dir).map(({ pid }) => pid);
    expect(supervisors.length).toBeGreaterThan(0);
    const pids = [...slipway.pids, ...supervisors, Number(linesOf(begun)[0])];
    const lines = await said(
      [
        `for pid in ${pids.join(' ')} $PPID; do`,
        '  [ -d /proc/$pid ] || echo "no process $pid"',
        '  for name in environ maps mem; do cat /proc/$pid/$name 2>/dev/null | head -c 1 | grep -q . && echo "read $pid $name"; done',
        '  for name in cwd root; do ls /proc/$pid/$name/ >/dev/null 2>&1 && echo "entered $pid $name"; done',
        '  for name in exe fd/0 fd/1; do readlink /proc/$pid/$name && echo "seen $pid $name"; done',
        '  for signal in 0 CONT TERM KILL; do kill -s $signal $pid 2>/dev/null && echo "signalled $pid $signal"; done',
        'done; true',
      ].join('\n'),
    );
    expect(lines).toEqual([]);
    await runToEnd(slipway.client, script(`touch '${gate}'`));
    const { lines: log } = await finish(slipway.client, other.id);
    expect(printed(log)).toEqual(['unharmed']);
  });

  test('keeps its memory from other processes of its user', async () => {
    const { user } = options;
    const as = user === undefined ? {} : { uid: user, gid: user };
    const bystander = spawn('sleep', ['1000'], as);
    try {
      const read = (pid: number) => spawnSync('cat', [`/proc/${pid}/environ`], { ...as, encoding: 'utf8' });
      expect(read(bystander.pid ?? 0).status).toBe(0);
      for (const pid of slipway.pids) {
        // Root reads everything.
        if (user !== undefined || !isRoot) expect(read(pid).stderr).toContain('Permission denied');
        expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 /m);
      }
    } finally {
      bystander.kill('SIGKILL');
    }
    expect((await fetch(`${slipway.url}/metrics`, { headers: { authorization: `Bearer ${slipway.adminToken}` } })).status).toBe(200);
  });

  test('gives a step temporary directories of its own, and removes them', async () => {
    const name = unique('temporary');
    const lines = await said(
      [
        `for dir in /tmp /var/tmp /dev/shm "$TMPDIR"; do echo ${name} > "$dir/${name}"; done`,
        'echo "$TMPDIR"; stat -c %a "$TMPDIR"',
        ...(hasUsers ? ['cd; touch home; pwd'] : []),
      ].join('\n'),
    );
    const [temporary = '', mode, home = ''] = lines;
    expect(mode).toBe('700');
    if (hasUsers) expect(home.startsWith(slipway.dir)).toBe(true);
    for (const dir of ['/tmp', '/var/tmp', '/dev/shm']) expect(existsSync(join(dir, name)), dir).toBe(false);
    await until('the directories of the run are removed', () => !existsSync(temporary));
    if (hasUsers) await until('HOME is removed', () => !existsSync(home));
  });

  test('holds a step to its limits, and says which one ended it', async () => {
    const steps = [
      { name: 'files', run: 'ulimit -n', limits: { files: 64 } },
      { name: 'size', run: 'head -c 2097152 /dev/zero > big', limits: { file_size: '1MiB' } },
      { name: 'memory', run: 'head -c 268435456 /dev/zero | tail -c 268435456 | wc -c', limits: { memory: '64MiB' } },
      { name: 'time', run: 'while :; do :; done', limits: { cpu_time: '1s' } },
      // Sixty that sleep, and no more: what fails to start is not tried again.
      {
        name: 'processes',
        run: 'n=0; while [ $n -lt 60 ]; do n=$((n + 1)); sleep 1000 & done; echo started',
        limits: { processes: 20 },
      },
    ];
    const all = hasUsers ? steps : steps.filter(({ name }) => name !== 'processes');
    const ends = await Promise.all(
      all.map(async ({ name, ...step }) => ({
        name,
        ...(await runToEnd(slipway.client, definition([{ name, ...step }]))),
      })),
    );
    const of = (wanted: string) => {
      const end = ends.find(({ name }) => name === wanted);
      return { status: end?.state.status, text: end?.lines.map((line) => line.message).join('\n') ?? '' };
    };
    expect(of('files')).toEqual({ status: 'succeeded', text: expect.stringMatching(/^64$/m) as string });
    expect(of('size').status).toBe('failed');
    expect(of('size').text).toContain("a file became too large: the step's limit is 1 MiB");
    expect(of('memory').text).not.toContain('268435456');
    expect(of('time').status).toBe('failed');
    expect(of('time').text).toContain("out of processor time: the step's limit is 1 s for a process");
    if (hasUsers) {
      expect(of('processes').status).toBe('failed');
      expect(of('processes').text).not.toContain('started');
    }
  });

  test('that is killed leaves a step in its fence, and the next one finds the same', async () => {
    const gate = file(unique('gate'));
    const begun = file(unique('begun'));
    const run = await trigger(
      slipway.client,
      definition([
        { name: 'one', run: `id -u; echo kept > kept; echo begun >> '${begun}'; ${waitFor(gate)}; echo on > /tmp/on` },
        { name: 'two', needs: ['one'], run: 'id -u; cat kept "$TMPDIR/on"; ls /tmp/on' },
      ]),
    );
    await written(begun);
    await slipway.kill();
    await slipway.startPrograms();
    await runToEnd(slipway.client, script(`touch '${gate}'`));
    const { state, lines } = await finish(slipway.client, run.id);
    expect(state.status).toBe('succeeded');
    const [first, second, ...rest] = printed(lines);
    expect(second).toBe(first);
    expect(rest).toEqual(['kept', 'on', '/tmp/on']);
  });

  test('keeps what a failed run has left, as its own', async () => {
    const { run, state } = await runToEnd(slipway.client, script('echo left > left; mkdir -m 0 closed; false'));
    expect(state.status).toBe('failed');
    const [dir = ''] = slipway.runDirectories(run.id);
    expect(readdirSync(join(dir, 'workspace')).sort()).toEqual(['closed', 'left']);
    expect(statSync(join(dir, 'workspace')).mode & 0o777).toBe(0o700);
  });
});

// A user's limit of processes would do for a bomb, a control group holds whatever else it does; and it has an end.
test.skipIf(groups === undefined)('a control group counts what a step uses in all, and takes all of it along', async () => {
  const parents = groups?.map((dir) => join(dir, unique('slipway-test'))) ?? [];
  for (const dir of parents) mkdirSync(dir);
  const slipway = await Installation.start({
    env: {
      SLIPWAY_EXECUTOR_CGROUP: parents.join(','),
      SLIPWAY_EXECUTOR_PROCESSES_MAX: '40',
      SLIPWAY_EXECUTOR_CPU_MAX: '0.5',
      SLIPWAY_EXECUTOR_REQUIRE: 'cgroup',
    },
  });
  onTestFinished(async () => {
    await slipway.stop();
    for (const dir of parents) rmdirSync(dir);
  });
  const [memory, bomb] = await Promise.all([
    runToEnd(
      slipway.client,
      definition([
        {
          name: 'memory',
          run: 'for i in 1 2 3; do head -c 33554432 /dev/zero | tail -c 33554432 | wc -c & done; wait; false',
          limits: { memory: '64MiB' },
        },
      ]),
    ),
    runToEnd(
      slipway.client,
      definition([
        {
          name: 'bomb',
          timeout: '20s',
          run: 'bomb() { [ "$1" -ge 8 ] || { bomb $(($1 + 1)) & bomb $(($1 + 1)) & sleep 1; }; }; bomb 0; sleep 1',
        },
      ]),
    ),
  ]);
  const said = ({ lines }: { lines: { message: string }[] }) => lines.map((line) => line.message).join('\n');
  expect(memory.state.status).toBe('failed');
  expect(said(memory)).toContain("out of memory: the step's limit is 64 MiB");
  expect(said(bomb)).toContain("out of processes: the step's limit is 40");
  // Its groups go with each step.
  await until('no group of a step is left', () =>
    parents.every((dir) => readdirSync(dir).every((name) => !name.startsWith('slipway-'))),
  );
  // What a step leaves in its group is ended with its supervisor, however it has hidden.
  const seconds = uniqueSeconds();
  const run = await trigger(
    slipway.client,
    script(`cd /; env -i setsid sleep ${seconds} </dev/null >/dev/null 2>&1 & sleep 1000`, { retry: { attempts: 1 } }),
  );
  const asleep = () => processesThatAre(`sleep ${seconds}`);
  const hidden = await until('the step sleeps', () => asleep()[0]);
  const quotas = parents.flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.startsWith('slipway-'))
      .flatMap((name) => ['cpu.max', 'cpu.cfs_quota_us'].map((file) => join(dir, name, file)))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, 'utf8').trim()),
  );
  expect(quotas).toEqual([expect.stringMatching(/^50000( 100000)?$/)]);
  const [supervisor] = supervisorsIn(slipway.dir);
  await slipway.kill();
  process.kill(supervisor?.pid ?? 0, 'SIGKILL');
  expect(asleep()).toEqual([hidden]);
  await slipway.startPrograms();
  // By its id: the step is lost, and its next try hides another.
  await until('what was hidden is gone', () => asleep().every(({ pid }) => pid !== hidden.pid));
  await slipway.client.runs.cancel.mutate({ runId: run.id });
  await finish(slipway.client, run.id);
});

// Each part alone keeps a step from the server's files; what the other adds is missing.
test.each([
  ['mounts', 'landlock'],
  ['landlock', 'mounts'],
])('without %s, %s keeps a step from the files of the server', async (leftOut, required) => {
  const slipway = await Installation.start({
    env: {
      SLIPWAY_EXECUTOR_LEAVE_OUT: leftOut,
      SLIPWAY_EXECUTOR_REQUIRE: required,
      SLIPWAY_EXECUTOR_USER: 'server',
    },
  });
  onTestFinished(async () => await slipway.stop());
  const [server] = slipway.pids;
  const outside = `/var/tmp/${unique('outside')}`;
  // Landlock closes the worker's own directory; that of another process of the same user, mounts alone.
  const isOpen = leftOut === 'mounts' && slipway.workerCount > 1;
  const others = isOpen ? '' : '../w0/host-id ../w1/host-id';
  const steps = [
    'pwd > here; cat here > "$TMPDIR/there"; cat "$TMPDIR/there" >/dev/null; echo works',
    `for file in host-id slipway.db redis/socket ${others}; do cat '${slipway.dataDir}'/$file >/dev/null 2>&1 && echo "read $file"; done`,
    `ls '${slipway.dataDir}/runs' 2>/dev/null | grep -v "$SLIPWAY_RUN_ID" | sed 's/^/saw /'`,
    `echo x 2>/dev/null > '${slipway.dataDir}/planted' && [ ! -e /nowhere ] && echo planted`,
    `umount '${slipway.dataDir}' 2>/dev/null && echo uncovered`,
    `kill -s CONT ${server} 2>/dev/null && echo signalled`,
    `echo x > '${outside}' && echo "wrote"`,
    `echo "tmp $(ls /tmp | wc -l)"`,
  ].join('\n');
  const { state, lines } = await runToEnd(slipway.client, script(steps));
  expect(state.status).toBe('succeeded');
  const said = printed(lines);
  expect(said).toContain('works');
  for (const word of ['read', 'saw', 'uncovered']) expect(said.filter((line) => line.startsWith(word))).toEqual([]);
  expect(existsSync(join(slipway.dataDir, 'planted'))).toBe(isOpen);
  // Signals are Landlock's to refuse, where a step is the server's user; `/tmp` is the step's own with mounts.
  expect(said.includes('signalled')).toBe(leftOut === 'landlock');
  expect(existsSync(outside)).toBe(leftOut === 'mounts');
  if (leftOut === 'mounts') rmSync(outside);
  const report = await slipway.doctor(slipway.machines.at(-1) ?? 's');
  const of = (name: string) => report.checks.find((check) => check.name === `fence: ${name}`)?.message ?? '';
  expect(of(leftOut)).toContain('executor.leave_out names it');
  expect(of(required)).not.toContain('not in force');
});

test('the doctor says of each part of the fence whether it is in force', async () => {
  const slipway = await Installation.start({ withoutWorkers: true });
  onTestFinished(async () => await slipway.stop());
  const report = await slipway.doctor('s');
  for (const name of ['fence: user', 'fence: mounts', 'fence: landlock', 'fence: cgroup']) {
    const check = report.checks.find((found) => found.name === name);
    expect(check?.message, name).toBeTruthy();
    if (check?.verdict !== 'ok') expect(check?.advice, name).toBeTruthy();
  }
});
