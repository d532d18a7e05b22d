-- Hands in settled runs and claims new ones.
-- KEYS: nodes session claims busy cancelled failed failures versions seq retry finished history lines
--   packed events parked gates inuse buckets openings wake-leader, then (high, ready, low, wake) of each
--   queue, those to claim from first
-- ARGV: session, lane, request, floor, queues to claim from, limit (at most 500), takes,
--   settled runs (at most 500), then the takes (list, at most) and the settled (see _settle.lua)
-- Answers: one text: "<stale> <claims>", then a line for each stale run, then one for each claim
--   (`<fence> <version> <attempt> <losses> <queue> <priority> <run>`, the version after `~` where this
--   claim binds the run to it); or "gone"; or "superseded".
--   The lane's last request asked again: the same text, and nothing happens.
local session, lane, request = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sources, limit, takes = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local count, TAKES = tonumber(ARGV[8]), 9
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
redis.call('XLEN', K.history)
local waiting = {}
for list = 1, #KEYS - TAIL do
  waiting[list] = list % 4 ~= 0 and redis.call('LLEN', list_key(list)) or 0
end
local g, claimed = read_gates(t, s.freed_of), {}

go_on_when_full(K.nodes)
-- Hand in first: what is given back may be claimed again by the same call.
write_settled(s, t)
for list, runs in pairs(s.moved) do
  waiting[list] = waiting[list] + runs
end

-- A run is bound to its job's definition at its first claim; without a job it ends as removed.
local claims, unreadable, unmark = {}, {}, {}

local function claim(texts, place)
  local found, unbound = {}, {}
  for _, text in ipairs(texts) do
    local attempt, version, losses, run = string.match(text, '^(%d+) (%S+) (%d+) (.+)$')
    local job = run and (version == '-' or string.find(version, '^%d+$')) and job_of(run)
    if not job then
      unreadable[#unreadable + 1] = int(t)
      unreadable[#unreadable + 1] = text
    else
      found[#found + 1] = { run, job, attempt, version, losses }
      if version == '-' then
        unbound[#unbound + 1] = job
      end
    end
  end
  local marks = {}
  if s.marks and #found > 0 then
    local runs = {}
    for i, each in ipairs(found) do
      runs[i] = each[1]
    end
    marks = redis.call('HMGET', K.cancelled, unpack(runs))
  end
  local current, jobless = {}, {}
  for i, each in ipairs(found) do
    if marks[i] and s.busy[each[2]] == nil then
      jobless[#jobless + 1] = each[2]
    end
  end
  if #unbound > 0 then
    local versions = redis.call('HMGET', K.versions, unpack(unbound))
    for i, job in ipairs(unbound) do
      current[job] = versions[i]
      if not versions[i] and s.busy[job] == nil then
        jobless[#jobless + 1] = job
      end
    end
  end
  if #jobless > 0 then
    local busy = redis.call('HMGET', K.busy, unpack(jobless))
    for i, job in ipairs(jobless) do
      s.busy[job] = busy[i]
    end
  end
  for i, each in ipairs(found) do
    local run, job, attempt, version, losses = unpack(each)
    if version == '-' then
      version = current[job] and '~' .. current[job]
    end
    if marks[i] then
      local queue = string.match(place, '^%S+')
      s.lines[#s.lines + 1] = cancelled_record(run, attempt, queue, marks[i])
      unmark[#unmark + 1] = run
      free(s, job, run)
    elseif version then
      claims[#claims + 1] = { run, version .. ' ' .. attempt .. ' ' .. losses .. ' ' .. place }
    else
      s.lines[#s.lines + 1] = '{"run":' .. cjson.encode(run) .. ',"outcome":"removed","attempt":'
        .. attempt .. ',"queue":' .. cjson.encode(string.match(place, '^%S+'))
        .. ',"detail":"the job was removed before the run was begun"}'
      free(s, job, run)
    end
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
  local fence = take_numbers(#claims, tonumber(ARGV[4]))
  local held = {}
  for i, each in ipairs(claims) do
    local value = int(fence + i - 1) .. ' ' .. each[2]
    held[#held + 1] = each[1]
    held[#held + 1] = value
    reply[#reply + 1] = value .. ' ' .. each[1]
  end
  variadic('HSET', K.claims, held, 2)
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
write_history(s.lines, t)
local text = table.concat(reply, '\n')
redis.call('HSET', K.session, 'request:' .. lane, ARGV[3], 'reply:' .. lane, text)
return text
