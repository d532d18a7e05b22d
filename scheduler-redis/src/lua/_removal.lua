-- Removing a job, and unique keys, for those who put jobs, remove them, or both.

-- Who holds a unique key, or nil.
local function holder_of(key, t)
  local job = redis.call('HGET', K.unique, key)
  if not job then
    return nil
  end
  local till = redis.call('ZSCORE', K['unique-until'], key)
  if till then
    return tonumber(till) > t and job or nil
  end
  if redis.call('HEXISTS', K.versions, job) == 0 then
    return nil
  end
  local over = redis.call('ZSCORE', K.finished, job)
  -- (Infinite while its last run is in flight.)
  if over and tonumber(over) < math.huge and redis.call('HEXISTS', K.busy, job) == 0 then
    return nil
  end
  return job
end

-- The key that a job was put with (or false), if it still holds it. Reads what `free_key` writes.
local function key_to_free(key, job)
  local holds = key and redis.call('HGET', K.unique, key) == job
  return holds and { key, redis.call('ZSCORE', K['unique-until'], key) }
end

-- Frees a key that was found so.
local function free_key(found)
  redis.call('HDEL', K.unique, found[1])
  redis.call('ZREM', K['unique-until'], found[1])
end

-- A job's record, from `text` as it stands in `jobs`, or from the job's own hash, where it once stood.
local function record_in(text, job_key)
  if text then
    return string.match(text, '^[^\n]*\n(.*)$')
  end
  return redis.call('HGET', job_key, 'record')
end

-- The queue of a job that is stored so.
local function queue_in(text, job_key)
  if text then
    return string.match(text, '^[^\n]* queue=([^ \n]+)') or 'default'
  end
  return redis.call('HGET', job_key, 'queue') or 'default'
end

-- How a removal is asked for: job, version, due or "", first and last of the skipped fire times or ""
-- and "", records of these (one a line), first fire time that stays unsettled or "".
local REMOVAL_ARGS = 7

-- Reads and checks a removal that begins at ARGV[at]; nil where the job is not as it was read.
local function read_removal(at, job_key, t)
  local job, version = ARGV[at], ARGV[at + 1]
  local due = redis.call('ZSCORE', K.due, job)
  local pending = due or redis.call('HGET', job_key, 'paused_from')
  local same_due = due and tonumber(due) == tonumber(ARGV[at + 2]) or (not due and ARGV[at + 2] == '')
  if redis.call('HGET', K.versions, job) ~= version or not same_due
    or not keeps_pending(pending, '', ARGV[at + 3], t)
    or (tonumber(ARGV[at + 6]) or math.huge) <= t then
    return nil
  end
  local lines = {}
  for line in string.gmatch(ARGV[at + 5], '[^\n]+') do
    lines[#lines + 1] = line
  end
  local runs = redis.call('HGET', K.busy, job)
  local text = runs and redis.call('HGET', K.jobs, job)
  local record = runs and record_in(text, job_key)
  -- Runs that are lined up end with their job.
  local lined_up, left = {}, {}
  if count_lined_up(runs) > 0 then
    local queue = queue_in(text, job_key)
    for word in string.gmatch(runs, '%S+') do
      if string.sub(word, 1, 1) == '~' then
        lined_up[#lined_up + 1] = job .. string.sub(word, 2)
        lines[#lines + 1] = '{"run":' .. cjson.encode(job .. string.sub(word, 2))
          .. ',"outcome":"removed","attempt":1,"queue":' .. cjson.encode(queue)
          .. ',"detail":"the job was removed before the run was begun"}'
      else
        left[#left + 1] = word
      end
    end
  end
  return {
    job = job, version = version, job_key = job_key, record = record, lines = lines,
    lined_up = lined_up, left = table.concat(left, ' '), settled = tonumber(ARGV[at + 4]),
    fired = tonumber(redis.call('HGET', K.fired, job) or ''),
    frees = key_to_free(redis.call('HGET', job_key, 'unique'), job),
  }
end

-- Removes the job, beginning with a delete.
local function write_removal(r, t)
  local job = r.job
  redis.call('UNLINK', r.job_key)
  redis.call('HDEL', K.jobs, job)
  redis.call('HDEL', K.versions, job)
  redis.call('ZREM', K.due, job)
  redis.call('ZREM', K.finished, job)
  redis.call('ZREM', K.parked, job)
  redis.call('ZREM', K.resume, job)
  redis.call('ZREM', K.openings, job)
  redis.call('HDEL', K.followers, job)
  if #r.lined_up > 0 then
    variadic('HDEL', K.cancelled, r.lined_up, 1)
    if r.left ~= '' then
      redis.call('HSET', K.busy, job, r.left)
    else
      redis.call('HDEL', K.busy, job)
    end
  end
  if r.frees then
    free_key(r.frees)
  end
  redis.call('ZADD', K.gone, int(t), job)
  if r.record then
    redis.call('HSET', K.old, r.version .. ' ' .. job, r.record)
  end
  if r.settled and r.settled > (r.fired or -math.huge) then
    redis.call('HSET', K.fired, job, int(r.settled))
  end
  write_history(r.lines, t)
end
