-- Hands in settled runs and claims new ones.
-- KEYS: nodes session claims busy cancelled failed failures versions seq retry finished history lines
--   packed events parked gates inuse buckets openings wake-leader meta, then (high, ready, low, wake) of each
--   queue, those to claim from first
-- ARGV: session, lane, request, floor, queues to claim from, limit (at most 500), takes,
--   settled runs (at most 500), generation, then the takes (list, at most) and the settled (see _settle.lua)
-- Answers: one text: "<stale> <claims>", then a line for each stale run, then one for each claim
--   (`<fence> <version> <attempt> <losses> <queue> <priority> <run>`, the version after `~` where this
--   claim binds the run to it); or "gone"; or "superseded"; or
--   "behind" where the shard is in another generation.
--   The lane's last request asked again: the same text, and nothing happens.
local session, lane, request = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sources, limit, takes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local count, TAKES = tonumber(ARGV[8]), 10
local is_in, ready_at, grace = takes_part(ARGV[9])
if not is_in then
  return 'behind'
end
if not redis.call('ZSCORE', K.nodes, session) then
  return 'gone'
end
local before = redis.call('HMGET', K.session, 'request:' .. lane, 'reply:' .. lane)
if before[1] then
  if tonumber(before[1]) == request then
    return before[2] or 'superseded'
  elseif tonumber(before[1]) > request then
    return 'superseded'
  end
end
local t = now()
local s = read_settled(TAKES + 2 * takes, count)
-- Whatever is read after the first write must not fail: look at the types of these keys now.
redis.call('HLEN', K.versions)
redis.call('HLEN', K.busy)
redis.call('XLEN', K.history)
local waiting = {}
for list = 1, #KEYS - TAIL do
  waiting[list] = list % 4 ~= 0 and redis.call('LLEN', list_key(list)) or 0
end
local g, claimed = read_gates(t, s.freed_of), {}
if grace_left(ready_at, grace, t) > 0 then
  -- What waits may be what others hold, and have not told yet.
  for i = 1, g.count do
    g.room[i] = 0
  end
end

go_on_when_full(K.nodes)
-- Hand in first: what is given back may be claimed again by the same call.
write_settled(s, t)
for list, runs in pairs(s.moved) do
  waiting[list] = waiting[list] + runs
end

-- What most waiting runs look like: the first attempt for a fire time of this age, unbound. Others are
-- read with more care.
local MOSTLY = '^1 %- 0 ((%S.*%S)@' .. string.rep('%d', 13) .. ')$'

-- A run is bound to its job's definition at its first claim; without a job it ends as removed.
-- `claims` are the runs, `terms` what stands behind the fence of each.
local claims, terms, unreadable, unmark = {}, {}, {}, {}

local function claim(texts, place)
  local runs, jobs, bound, attempts = {}, {}, {}, {}
  local is_clean = not string.find(table.concat(texts), '%c')
  for _, text in ipairs(texts) do
    local run, job = string.match(text, MOSTLY)
    if not run or not is_clean or #job > 255 then
      local attempt, version, losses
      attempt, version, losses, run = string.match(text, '^(%d+) (%S+) (%d+) (.+)$')
      job = run and (version == '-' or string.find(version, '^%d+$')) and job_of(run)
      if job then
        bound[#runs + 1] = version ~= '-' and version
        attempts[#runs + 1] = attempt .. ' ' .. losses
      end
    end
    if job then
      runs[#runs + 1] = run
      jobs[#jobs + 1] = job
    else
      unreadable[#unreadable + 1] = int(t)
      unreadable[#unreadable + 1] = text
    end
  end
  if #runs == 0 then
    return
  end
  local versions, ended = redis.call('HMGET', K.versions, unpack(jobs)), {}
  local marks = s.marks and redis.call('HMGET', K.cancelled, unpack(runs)) or {}
  local first_attempt = ' 1 0 ' .. place
  for i, run in ipairs(runs) do
    local version, attempt = bound[i], attempts[i]
    if marks[i] or not (version or versions[i]) then
      ended[#ended + 1] = i
    else
      claims[#claims + 1] = run
      if attempt then
        terms[#claims] = (version or '~' .. versions[i]) .. ' ' .. attempt .. ' ' .. place
      else
        terms[#claims] = '~' .. versions[i] .. first_attempt
      end
    end
  end
  for _, i in ipairs(ended) do
    local run, job, queue = runs[i], jobs[i], string.match(place, '^%S+')
    local attempt = string.match(attempts[i] or '1', '^%d+')
    if s.busy[job] == nil then
      s.busy[job] = redis.call('HGET', K.busy, job)
    end
    if marks[i] then
      s.lines[#s.lines + 1] = cancelled_record(run, attempt, queue, marks[i])
      unmark[#unmark + 1] = run
    else
      s.lines[#s.lines + 1] = '{"run":' .. cjson.encode(run) .. ',"outcome":"removed","attempt":'
        .. attempt .. ',"queue":' .. cjson.encode(queue)
        .. ',"detail":"the job was removed before the run was begun"}'
    end
    free(s, job, run)
  end
end

-- Takes up to `most` runs of a list. Runs that end as removed take nobody's place, but a call pops a
-- bounded number in all.
local LETTERS, left = { 'h', 'n', 'l' }, 1000
local function take(list, most)
  local queue, before = math.ceil(list / 4), #claims
  local place = g.names[queue] .. ' ' .. LETTERS[list % 4]
  most = math.min(before + math.min(most, g.room[queue] - (claimed[queue] or 0)), limit)
  while #claims < most and waiting[list] > 0 and left > 0 do
    local texts = redis.call('LPOP', list_key(list), math.min(most - #claims, left))
    if not texts then
      break
    end
    waiting[list] = waiting[list] - #texts
    left = left - #texts
    claim(texts, place)
  end
  claimed[queue] = (claimed[queue] or 0) + #claims - before
end
for at = TAKES, TAKES + 2 * takes - 1, 2 do
  take(tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
end

write_busy(s, t)
if #unmark > 0 then
  variadic('HDEL', K.cancelled, unmark, 1)
end
local reply = { #s.stale .. ' ' .. #claims }
for _, run in ipairs(s.stale) do
  reply[#reply + 1] = run
end
if #claims > 0 then
  local fence, held = counter(take_numbers(#claims, tonumber(ARGV[4]))), {}
  for i, run in ipairs(claims) do
    local value = fence() .. ' ' .. terms[i]
    held[2 * i - 1] = run
    held[2 * i] = value
    reply[#reply + 1] = value .. ' ' .. run
  end
  set_fields(K.claims, #claims, function()
    variadic('HSET', K.claims, held, 2)
  end)
end
if #unreadable > 0 then
  variadic('ZADD', K.parked, unreadable, 2)
end
write_gates(g, t, claimed, s.freed_of)
-- Whoever wakes claims what it has slots for, and leaves a marker if runs are left; and a place that
-- was freed may be one that this node does not want.
for i = 1, g.count do
  local list = 4 * i - 3
  offer(g, i, waiting[list] + waiting[list + 1] + waiting[list + 2], claimed[i])
end
write_records(s, t)
local text = table.concat(reply, '\n')
redis.call('HSET', K.session, 'request:' .. lane, ARGV[3], 'reply:' .. lane, text)
return text
