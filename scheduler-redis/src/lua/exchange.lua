-- Hands in settled runs and claims new ones.
-- KEYS: nodes session claims busy versions seq retry finished history lines packed events parked,
--   then (ready, wake) of each queue, those to claim from first
-- ARGV: session, lane, request, floor, queues to claim from, limit (at most 500),
--   settled runs (at most 500), then these (see _settle.lua)
-- Answers: one text: "<stale> <claims>", then a line for each stale run, then one for each claim
--   (`<fence> <version> <attempt> <losses> <queue> <run>`); or "gone"; or "superseded".
--   The lane's last request asked again: the same text, and nothing happens.
local session, lane, request = ARGV[1], ARGV[2], tonumber(ARGV[3])
local sources, limit, count = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
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
local s = read_settled(8, count)
-- Whatever is read after the first write must not fail: look at the types of these keys now.
redis.call('HLEN', K.versions)
redis.call('XLEN', K.history)
for i = 1, sources do
  redis.call('LLEN', KEYS[TAIL + 2 * i - 1])
end

go_on_when_full(K.nodes)
-- Hand in first: what is given back may be claimed again by the same call.
write_settled(s, t)

-- A run is bound to its job's definition at its first claim; without a job it ends as removed.
local claims, unreadable = {}, {}

local function claim(texts, queue)
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
  local current, jobless = {}, {}
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
  for _, each in ipairs(found) do
    local run, job, attempt, version, losses = unpack(each)
    if version == '-' then
      version = current[job]
    end
    if version then
      claims[#claims + 1] = { run, version .. ' ' .. attempt .. ' ' .. losses .. ' ' .. queue }
    else
      s.lines[#s.lines + 1] = '{"run":' .. cjson.encode(run) .. ',"outcome":"removed","attempt":'
        .. attempt .. ',"queue":' .. cjson.encode(queue)
        .. ',"detail":"the job was removed before the run was begun"}'
      free(s, job, run)
    end
  end
end

-- Runs that end as removed take nobody's place, but a call pops a bounded number in all.
local popped, left = {}, 1000
for i = 1, sources do
  local ready = KEYS[TAIL + 2 * i - 1]
  local queue = string.match(ready, '}:ready:(.*)$')
  popped[i] = 0
  while #claims < limit and left > 0 do
    local texts = redis.call('LPOP', ready, math.min(limit - #claims, left))
    if not texts then
      break
    end
    popped[i] = popped[i] + #texts
    left = left - #texts
    claim(texts, queue)
  end
end

write_busy(s, t)
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
-- Whoever wakes claims what it has slots for, and leaves a marker if runs are left.
for i = 1, sources do
  if popped[i] > 0 then
    local waiting = redis.call('LLEN', KEYS[TAIL + 2 * i - 1])
    if waiting > 0 then
      wake(KEYS[TAIL + 2 * i], waiting)
    end
  end
end
write_history(s.lines, t)
local text = table.concat(reply, '\n')
redis.call('HSET', K.session, 'request:' .. lane, ARGV[3], 'reply:' .. lane, text)
return text
