#!/usr/bin/env python3
"""Fill a fresh Tryton 8.2 database for tests: company, chart-less stock setup,
an integration user with a REST key. Prints one JSON object on stdout.

usage: tryton_setup.py CONFIG DB
"""
import json
import sys
from decimal import Decimal

from trytond import config

conf, dbname = sys.argv[1:3]
config.update_etc(conf)

from trytond.pool import Pool          # noqa: E402
from trytond.transaction import Transaction  # noqa: E402

Pool.start()
pool = Pool(dbname)
pool.init()

with Transaction().start(dbname, 1, context={'_check_access': False}) as tx:
    Party = pool.get('party.party')
    Currency = pool.get('currency.currency')
    Company = pool.get('company.company')
    User = pool.get('res.user')
    Group = pool.get('res.group')
    App = pool.get('res.user.application')
    Location = pool.get('stock.location')
    Uom = pool.get('product.uom')
    eur, = Currency.create([{
        'name': 'Euro', 'code': 'EUR', 'symbol': 'EUR', 'digits': 2,
        'rounding': Decimal('0.01')}])
    owner, = Party.create([{'name': 'Test Distribution'}])
    company, = Company.create([{'party': owner.id, 'currency': eur.id}])
    customer, = Party.create([{
        'name': 'Customer One', 'code': 'C-1',
        'addresses': [('create', [{'street': 'Dock 1'}])]}])
    groups = [g.id for g in Group.search([])]
    user, = User.create([{
        'name': 'Sync agent', 'login': 'agent', 'password': 'agent-pw-of-a-test',
        'companies': [('add', [company.id])], 'company': company.id,
        'groups': [('add', groups)]}])
    app, = App.create([{'user': user.id, 'application': 'rest'}])
    loc = {l.code: l.id for l in Location.search([('code', '!=', None)])}
    unit, = Uom.search([('name', '=', 'Unit')], limit=1)
    out = {
        'database': dbname, 'company': company.id, 'currency': eur.id,
        'customer': customer.id, 'customer_address': customer.addresses[0].id,
        'unit': unit.id, 'locations': loc, 'login': 'agent',
        'password': 'agent-pw-of-a-test', 'rest_key': app.key,
        'user': user.id}
    tx.commit()
print(json.dumps(out))
