# Ruby's mysql2; one JSON line a step.
require 'json'
require 'mysql2'
require 'time'

TARGET = JSON.parse(ENV['CORDON_CLIENT'])
TEXT = TARGET['steps']
options = { host: TARGET['host'], port: TARGET['port'], database: TARGET['database'], username: TARGET['user'], password: TARGET['password'], encoding: 'utf8mb4', enable_cleartext_plugin: true, flags: ['MULTI_STATEMENTS'] }
options.merge!(sslca: TARGET['ca'], ssl_mode: :verify_ca) if TARGET['ca']
client = Mysql2::Client.new(options)
$stdout.sync = true

def step(name)
  puts JSON.generate({ step: name, value: plain(yield) })
rescue Mysql2::Error => error
  puts JSON.generate({ step: name, error: error.error_number.to_s, message: error.message })
end

def plain(value)
  case value
  when Array then value.map { |item| plain(item) }
  when nil, true, false, Integer then value
  when String then value.encoding == Encoding::BINARY ? "bytes:#{value.unpack1('H*')}" : value
  else "#{value.class}:#{value.is_a?(Time) ? value.iso8601(3) : value}"
  end
end

rows = ->(text) { client.query(text, as: :array).to_a }
bound = ->(name, *values) { client.prepare(TEXT[name]).execute(*values, as: :array).to_a }
%w[types rows masked].each { |name| step(name) { rows.(TEXT[name]) } }
step('prepared') do
  statement = client.prepare(TEXT['prepared'])
  [1, 3, 1].map { |first| statement.execute(first, as: :array).to_a }
end
step('masked_prepared') { bound.('masked_prepared', 1) }
step('parameters') { bound.('parameters', "it's \\ ż", 42, nil) }
step('large') { rows.(TEXT['large']).map { |row| row.map(&:length) } }
step('large_parameter') { bound.('large_parameter', 'y' * 900_000) }
step('many') { all = rows.(TEXT['many']); [all.length, all.first, all.last] }
step('streamed') { client.query(TEXT['many'], as: :array, stream: true, cache_rows: false).each.inject(0) { |sum, _| sum + 1 } }
%w[error syntax after derived].each { |name| step(name) { rows.(TEXT[name]) } }
client.query('BEGIN')
step('insert') { client.query(TEXT['insert']); [client.affected_rows, rows.(TEXT['count'])] }
client.query('ROLLBACK')
client.query('BEGIN')
step('insert_prepared') { statement = client.prepare(TEXT['insert_prepared']); statement.execute('p@example.org'); [statement.affected_rows, rows.(TEXT['count'])] }
client.query('ROLLBACK')
step('rolled_back') { rows.(TEXT['count']) }
step('several') do
  all = [client.query("#{TEXT['after']}; #{TEXT['rows']}", as: :array).to_a]
  all << client.store_result.to_a.length while client.next_result
  all
end
step('select_db') { client.select_db(TARGET['database']); rows.('SELECT DATABASE()') }
step('ping') { client.ping }
step('end') { rows.(TEXT['after']) }
client.close
